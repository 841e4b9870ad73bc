#include "bitgrad/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr double kPi = 3.14159265358979323846;

absl::Status OutOfRange(const ScheduleOptions& options, const char* field, double value, const char* range) {
  return absl::InvalidArgumentError(
      absl::StrCat("schedule '", options.name, "': ", field, " is ", value, ", must be ", range));
}

// Rates are used as floats: one that rounds to 0 or infinity is none.
bool IsRate(double value) {
  const float rounded = static_cast<float>(value);
  return rounded > 0 && std::isfinite(rounded);
}

absl::Status CheckNothing(const ScheduleOptions&) { return absl::OkStatus(); }

double Constant(const ScheduleOptions& options, const ScheduleTime&) { return options.learning_rate; }

absl::Status CheckExponential(const ScheduleOptions& options) {
  if (IsRate(options.final_learning_rate)) return absl::OkStatus();
  return OutOfRange(options, "final_learning_rate", options.final_learning_rate, "a positive finite number");
}

double Exponential(const ScheduleOptions& options, const ScheduleTime& time) {
  return options.learning_rate * std::pow(options.final_learning_rate / options.learning_rate,
                                          static_cast<double>(time.epoch) / static_cast<double>(time.epochs));
}

absl::Status CheckLinear(const ScheduleOptions& options) {
  if (!(options.until > 0 && options.until <= 1)) {
    return OutOfRange(options, "until", options.until, "above 0 and at most 1");
  }
  return CheckExponential(options);
}

double Linear(const ScheduleOptions& options, const ScheduleTime& time) {
  const double done = static_cast<double>(time.epoch) / (options.until * static_cast<double>(time.epochs));
  return options.learning_rate + (options.final_learning_rate - options.learning_rate) * std::min(1.0, done);
}

absl::Status CheckFactor(const ScheduleOptions& options) {
  if (!options.step_factor.has_value() || (*options.step_factor > 0 && *options.step_factor <= 1)) {
    return absl::OkStatus();
  }
  return OutOfRange(options, "step_factor", *options.step_factor, "above 0 and at most 1");
}

absl::Status CheckStep(const ScheduleOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckFactor(options));
  if (options.step_epochs <= 0) {
    return OutOfRange(options, "step_epochs", static_cast<double>(options.step_epochs), "at least 1");
  }
  return absl::OkStatus();
}

double Step(const ScheduleOptions& options, const ScheduleTime& time) {
  return options.learning_rate *
         std::pow(options.step_factor.value_or(0.1), static_cast<double>(time.epoch / options.step_epochs));
}

double Plateau(const ScheduleOptions& options, const ScheduleTime& time) {
  return options.learning_rate * std::pow(options.step_factor.value_or(0.5), static_cast<double>(time.worse));
}

absl::Status CheckCosine(const ScheduleOptions& options) {
  if (options.final_learning_rate == 0 || IsRate(options.final_learning_rate)) {
    return absl::OkStatus();
  }
  return OutOfRange(options, "final_learning_rate", options.final_learning_rate, "0 or a positive finite number");
}

double Cosine(const ScheduleOptions& options, const ScheduleTime& time) {
  const double done = (static_cast<double>(time.epoch) + time.fraction) / static_cast<double>(time.epochs);
  // cos^2(x / 2) = (1 + cos x) / 2, without the cancellation near the end.
  const double root = std::cos(kPi / 2 * done);
  return options.final_learning_rate + (options.learning_rate - options.final_learning_rate) * root * root;
}

}  // namespace

absl::Span<const ScheduleInfo> AllSchedules() {
  static constexpr ScheduleInfo kSchedules[] = {
      {"constant", Constant, CheckNothing, "learning_rate throughout"},
      {"exponential", Exponential, CheckExponential,
       "by the same factor every epoch, from learning_rate towards final_learning_rate"},
      {"step", Step, CheckStep, "times step_factor every step_epochs epochs"},
      {"plateau", Plateau, CheckFactor,
       "times step_factor after each epoch that validates no better than the best one before"},
      {"linear", Linear, CheckLinear,
       "by the same amount every epoch, from learning_rate to final_learning_rate after the share `until` of them"},
      {"cosine", Cosine, CheckCosine, "half a cosine, step by step, from learning_rate to final_learning_rate"},
  };
  return kSchedules;
}

double Schedule::At(int64_t epoch, double fraction) const {
  const int64_t warmup = options_.warmup_epochs;
  fraction = fraction > 0 ? std::min(fraction, 1.0) : 0;
  if (epoch < 0) {
    epoch = 0;
    fraction = 0;
  }
  if (epoch < warmup) {
    const double start = options_.warmup_start_factor;
    const double done = (static_cast<double>(epoch) + fraction) / static_cast<double>(warmup);
    return options_.learning_rate * (start + (1 - start) * done);
  }
  if (epoch >= epochs_) {
    epoch = epochs_;
    fraction = 0;
  }
  int64_t worse = 0;
  double best = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < std::min(epoch, static_cast<int64_t>(results_.size())); ++i) {
    const double result = results_[static_cast<size_t>(i)];
    if (result < best) {
      best = result;
    } else if (i >= warmup) {
      ++worse;
    }
  }
  return info_->rate(options_, {epoch - warmup, epochs_ - warmup, fraction, worse});
}

absl::StatusOr<Schedule> MakeSchedule(const ScheduleOptions& options, int64_t epochs) {
  const ScheduleInfo* info = nullptr;
  std::vector<std::string> names;
  for (const ScheduleInfo& candidate : AllSchedules()) {
    if (options.name == candidate.name) info = &candidate;
    names.push_back(candidate.name);
  }
  if (info == nullptr) {
    return absl::NotFoundError(absl::StrCat("no schedule '", options.name, "'", DidYouMean(options.name, names),
                                            "; there are: ", absl::StrJoin(names, ", ")));
  }
  if (epochs <= 0) {
    return OutOfRange(options, "the number of epochs", static_cast<double>(epochs), "at least 1");
  }
  if (!IsRate(options.learning_rate)) {
    return OutOfRange(options, "learning_rate", options.learning_rate, "a positive finite number");
  }
  if (options.warmup_epochs < 0 || options.warmup_epochs >= epochs) {
    return absl::InvalidArgumentError(absl::StrCat("schedule '", options.name, "': warmup_epochs is ",
                                                   options.warmup_epochs, ", must be at least 0 and less than the ",
                                                   epochs, " epochs of training"));
  }
  if (!(options.warmup_start_factor > 0 && options.warmup_start_factor <= 1)) {
    return OutOfRange(options, "warmup_start_factor", options.warmup_start_factor, "above 0 and at most 1");
  }
  BITGRAD_RETURN_IF_ERROR(info->check(options));
  return Schedule(options, epochs, info);
}

}  // namespace bitgrad
