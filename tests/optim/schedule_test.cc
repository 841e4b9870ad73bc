#include "bitgrad/optim/schedule.h"

#include <cmath>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

Schedule Make(const ScheduleOptions& options, int64_t epochs) {
  absl::StatusOr<Schedule> schedule = MakeSchedule(options, epochs);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *schedule;
}

std::string ErrorOf(const ScheduleOptions& options, int64_t epochs = 10) {
  const absl::StatusOr<Schedule> schedule = MakeSchedule(options, epochs);
  return schedule.ok() ? "ok" : std::string(schedule.status().message());
}

// Options with which the schedule of this name can be made.
ScheduleOptions ValidOptions(const std::string& name) {
  return {.name = name, .learning_rate = 0.1, .final_learning_rate = 0.001, .step_factor = 0.5, .step_epochs = 3};
}

TEST(ScheduleTest, Constant) {
  const Schedule schedule = Make({.name = "constant", .learning_rate = 0.25}, 4);
  for (int epoch = 0; epoch < 4; ++epoch) EXPECT_EQ(schedule.At(epoch, 0.5), 0.25);
}

TEST(ScheduleTest, ExponentialGoesByOneFactorEachEpoch) {
  const Schedule schedule = Make({.name = "exponential", .learning_rate = 3e-3, .final_learning_rate = 3e-6}, 20);
  EXPECT_EQ(schedule.At(0), 3e-3);
  const double factor = std::pow(1e-3, 1.0 / 20);
  for (int epoch = 0; epoch < 19; ++epoch) {
    EXPECT_NEAR(schedule.At(epoch + 1) / schedule.At(epoch), factor, 1e-12);
    EXPECT_EQ(schedule.At(epoch, 0.99), schedule.At(epoch));
  }
  EXPECT_NEAR(schedule.At(19) * factor, 3e-6, 1e-15);
  EXPECT_NEAR(schedule.At(20), 3e-6, 1e-15);
}

TEST(ScheduleTest, StepMultipliesEveryFewEpochs) {
  const Schedule schedule = Make({.name = "step", .learning_rate = 0.5, .step_factor = 0.25, .step_epochs = 3}, 8);
  const double expected[] = {0.5, 0.5, 0.5, 0.125, 0.125, 0.125, 0.03125, 0.03125};
  for (int epoch = 0; epoch < 8; ++epoch) EXPECT_EQ(schedule.At(epoch, 0.5), expected[epoch]);
}

// By hand: the epochs whose results are not below the least one before them are 1 (2.0), 3 (1.5 again), 4 and 6.
TEST(ScheduleTest, PlateauGoesByTheResults) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  Schedule schedule = Make({.name = "plateau", .learning_rate = 1}, 8);
  const double results[] = {2.0, 2.0, 1.5, 1.5, 1.7, 1.0, kNan};
  const double expected[] = {1, 1, 0.5, 0.5, 0.25, 0.125, 0.125, 0.0625};
  for (size_t done = 0; done <= 7; ++done) {
    schedule.SetResults(absl::MakeConstSpan(results, done));
    // The rates of the epochs that are done, and of the next one, whatever comes behind.
    for (size_t epoch = 0; epoch <= done; ++epoch) EXPECT_EQ(schedule.At(epoch, 0.5), expected[epoch]) << epoch;
  }
  EXPECT_EQ(schedule.At(20), expected[7]);
  // A run that was resumed has the results at once.
  Schedule resumed = Make({.name = "plateau", .learning_rate = 1}, 8);
  EXPECT_EQ(resumed.At(7), 1) << "without results";
  resumed.SetResults(results);
  for (size_t epoch = 0; epoch < 8; ++epoch) EXPECT_EQ(resumed.At(epoch), expected[epoch]);

  Schedule other = Make({.name = "plateau", .learning_rate = 1, .step_factor = 0.25, .warmup_epochs = 2}, 8);
  other.SetResults({1.0, 2.0, 1.5, 0.5, 0.5});
  EXPECT_EQ(other.At(2), 1) << "epoch 1 was of the warm-up";
  EXPECT_EQ(other.At(3), 0.25) << "the warm-up has had better results";
  EXPECT_EQ(other.At(4), 0.25);
  EXPECT_EQ(other.At(5), 0.0625);
  EXPECT_EQ(ErrorOf({.name = "plateau", .step_factor = 0}),
            "schedule 'plateau': step_factor is 0, must be above 0 and at most 1");
}

TEST(ScheduleTest, LinearGoesByOneAmountEachEpochAndThenStays) {
  const Schedule whole = Make({.name = "linear", .learning_rate = 1, .final_learning_rate = 0.5}, 4);
  for (int epoch = 0; epoch < 4; ++epoch) EXPECT_DOUBLE_EQ(whole.At(epoch, 0.5), 1 - 0.125 * epoch);
  const Schedule half = Make({.name = "linear", .learning_rate = 1, .final_learning_rate = 0.1, .until = 0.5}, 20);
  EXPECT_EQ(half.At(0), 1);
  EXPECT_DOUBLE_EQ(half.At(5), 0.55);
  for (int epoch = 10; epoch <= 20; ++epoch) EXPECT_DOUBLE_EQ(half.At(epoch), 0.1);
  EXPECT_EQ(ErrorOf({.name = "linear", .learning_rate = 1, .final_learning_rate = 0.1, .until = 0}),
            "schedule 'linear': until is 0, must be above 0 and at most 1");
  EXPECT_EQ(ErrorOf({.name = "linear", .learning_rate = 1, .final_learning_rate = 0}),
            "schedule 'linear': final_learning_rate is 0, must be a positive finite number");
}

TEST(ScheduleTest, CosineGoesDownStepByStep) {
  const Schedule schedule = Make({.name = "cosine", .learning_rate = 1, .final_learning_rate = 0.5}, 4);
  EXPECT_EQ(schedule.At(0), 1);
  EXPECT_NEAR(schedule.At(1), 0.75 + 0.25 * std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(schedule.At(2), 0.75, 1e-12);
  EXPECT_NEAR(schedule.At(1, 0.5), 0.75 + 0.25 * std::cos(M_PI * 3 / 8), 1e-12);
  EXPECT_NEAR(schedule.At(4), 0.5, 1e-12);
}

TEST(ScheduleTest, CosineToZeroIsStillPositiveAtTheLastStep) {
  const Schedule schedule = Make({.name = "cosine", .learning_rate = 1e-3}, 500);
  EXPECT_GT(static_cast<float>(schedule.At(499, 99999.0 / 100000)), 0);
  EXPECT_LT(schedule.At(499, 99999.0 / 100000), 1e-15);
}

TEST(ScheduleTest, WarmUpGoesInFrontOfAnySchedule) {
  for (const ScheduleInfo& info : AllSchedules()) {
    SCOPED_TRACE(info.name);
    ScheduleOptions options = ValidOptions(info.name);
    const Schedule plain = Make(options, 8);
    options.warmup_epochs = 2;
    options.warmup_start_factor = 0.2;
    const Schedule warm = Make(options, 10);
    EXPECT_NEAR(warm.At(0), 0.02, 1e-12);
    EXPECT_NEAR(warm.At(0, 0.5), 0.04, 1e-12);
    EXPECT_NEAR(warm.At(1), 0.06, 1e-12);
    EXPECT_NEAR(warm.At(1, 1 - 1e-9), 0.1, 1e-9);
    for (int epoch = 0; epoch < 8; ++epoch) {
      EXPECT_EQ(warm.At(epoch + 2, 0.25), plain.At(epoch, 0.25)) << epoch;
    }
  }
}

TEST(ScheduleTest, EachStartsAtTheRateAndNeverRises) {
  for (const ScheduleInfo& info : AllSchedules()) {
    SCOPED_TRACE(info.name);
    EXPECT_NE(std::string(info.help), "");
    const Schedule schedule = Make(ValidOptions(info.name), 10);
    EXPECT_EQ(schedule.At(0), 0.1);
    double last = 0.1;
    for (int epoch = 0; epoch < 10; ++epoch) {
      for (const double fraction : {0.0, 0.3, 0.9}) {
        const double rate = schedule.At(epoch, fraction);
        EXPECT_LE(rate, last);
        EXPECT_GE(rate, 0.001);
        last = rate;
      }
    }
  }
}

TEST(ScheduleTest, OneEpochIsEnough) {
  for (const ScheduleInfo& info : AllSchedules()) {
    EXPECT_EQ(Make(ValidOptions(info.name), 1).At(0), 0.1) << info.name;
  }
}

TEST(ScheduleTest, TimesOutsideOfTheTraining) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const ScheduleInfo& info : AllSchedules()) {
    for (const int64_t warmup : {0, 3}) {
      ScheduleOptions options = ValidOptions(info.name);
      options.warmup_epochs = warmup;
      const Schedule schedule = Make(options, 10);
      for (const int64_t epoch : {int64_t{-1}, int64_t{-1000}, std::numeric_limits<int64_t>::min()}) {
        for (const double fraction : {0.0, 0.5, -infinity}) {
          EXPECT_EQ(schedule.At(epoch, fraction), schedule.At(0)) << info.name << " " << epoch;
        }
      }
      for (const int64_t epoch : {0, 4}) {
        EXPECT_EQ(schedule.At(epoch, -0.5), schedule.At(epoch, 0)) << info.name;
        EXPECT_EQ(schedule.At(epoch, 7), schedule.At(epoch, 1)) << info.name;
        EXPECT_EQ(schedule.At(epoch, infinity), schedule.At(epoch, 1)) << info.name;
        EXPECT_EQ(schedule.At(epoch, std::nan("")), schedule.At(epoch, 0)) << info.name;
      }
      EXPECT_EQ(schedule.At(std::numeric_limits<int64_t>::max(), 0.5), schedule.At(10)) << info.name;
    }
  }
}

TEST(ScheduleTest, Misuse) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(ErrorOf({.name = "quadratic"}),
            "no schedule 'quadratic'; there are: constant, exponential, step, linear, cosine");
  for (const ScheduleInfo& info : AllSchedules()) {
    const std::string prefix = std::string("schedule '") + info.name + "': ";
    const std::string rate = ", must be a positive finite number";
    ScheduleOptions options = ValidOptions(info.name);
    EXPECT_EQ(ErrorOf(options), "ok");
    EXPECT_EQ(ErrorOf(options, 0), prefix + "the number of epochs is 0, must be at least 1");
    EXPECT_EQ(ErrorOf(options, -3), prefix + "the number of epochs is -3, must be at least 1");
    options.learning_rate = 0;
    EXPECT_EQ(ErrorOf(options), prefix + "learning_rate is 0" + rate);
    options.learning_rate = -1;
    EXPECT_EQ(ErrorOf(options), prefix + "learning_rate is -1" + rate);
    options.learning_rate = std::nan("");
    EXPECT_EQ(ErrorOf(options), prefix + "learning_rate is nan" + rate);
    options.learning_rate = infinity;
    EXPECT_EQ(ErrorOf(options), prefix + "learning_rate is inf" + rate);
    options = ValidOptions(info.name);
    for (const int64_t warmup : {-1, 10, 11}) {
      options.warmup_epochs = warmup;
      EXPECT_EQ(ErrorOf(options), prefix + "warmup_epochs is " + std::to_string(warmup) +
                                      ", must be at least 0 and less than the 10 epochs of "
                                      "training");
    }
    options.warmup_epochs = 9;
    EXPECT_EQ(ErrorOf(options), "ok");
    options.warmup_start_factor = 0;
    EXPECT_EQ(ErrorOf(options), prefix + "warmup_start_factor is 0, must be above 0 and at most 1");
  }
  EXPECT_EQ(ErrorOf({.name = "exponential"}),
            "schedule 'exponential': final_learning_rate is 0, must be a positive finite number");
  EXPECT_EQ(ErrorOf({.name = "cosine", .final_learning_rate = -1}),
            "schedule 'cosine': final_learning_rate is -1, must be 0 or a positive finite number");
  EXPECT_EQ(ErrorOf({.name = "step"}), "schedule 'step': step_epochs is 0, must be at least 1");
  EXPECT_EQ(ErrorOf({.name = "step", .step_factor = 1.5, .step_epochs = 1}),
            "schedule 'step': step_factor is 1.5, must be above 0 and at most 1");
}

}  // namespace
}  // namespace bitgrad
