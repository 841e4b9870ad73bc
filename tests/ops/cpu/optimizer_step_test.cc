#include "ops/kernels/optimizer_step.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/ops/cpu/kernel_testing.h"
#include "tests/reference/optimizer_step.h"

namespace bitgrad {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

constexpr StepArgs kSteps[] = {
    {.learning_rate = 0.1f, .gradient_scale = 1, .weight_decay = 0, .weight_scale = 1, .clip = kInfinity},
    {.learning_rate = 0.5f, .gradient_scale = 0.5f, .weight_decay = 0.01f, .weight_scale = 3, .clip = 1},
};

// All that a step reads and writes.
struct State {
  std::vector<float> weight, first, second;
  StepCounts counts;

  std::vector<float> All() const {
    std::vector<float> all = weight;
    all.insert(all.end(), first.begin(), first.end());
    all.insert(all.end(), second.begin(), second.end());
    all.push_back(static_cast<float>(counts.sign_flips));
    all.push_back(static_cast<float>(counts.at_clip));
    return all;
  }
};

class OptimizerStepTest : public CpuKernelTest {
 protected:
  // Runs step(context, gradient, state, count) and compares with reference(g, first, second, w) of each element.
  template <typename Step, typename Reference>
  void Check(uint64_t seed, const StepArgs& args, const Step& step, const Reference& reference) {
    Random random(seed);
    BITGRAD_TRACE_SEED(random);
    for (int64_t count : VectorSizes()) {
      SCOPED_TRACE(testing::Message() << count << ", clip " << args.clip);
      const auto gradient = RandomVector(random, count, -1, 1);
      const State before = {RandomVector(random, count, -1, 1), RandomVector(random, count, -1, 1),
                            RandomVector(random, count, 0.01f, 1), {-1, -1}};
      State after;
      OnOneAndTwoThreads([&](ExecContext& context) {
        after = before;
        step(context, gradient.data(), after, count);
        return after.All();
      });
      StepCounts counts = {0, 0};
      for (int64_t i = 0; i < count; ++i) {
        const reference::StepElement expected =
            reference(gradient[i], before.first[i], before.second[i], before.weight[i]);
        // Some ten roundings of numbers below 4.
        const double tolerance = 10 * 4 * kEpsilon;
        ASSERT_NEAR(after.weight[i], expected.weight, tolerance);
        ASSERT_NEAR(after.first[i], expected.state1, tolerance);
        ASSERT_NEAR(after.second[i], expected.state2, tolerance);
        counts.sign_flips += (after.weight[i] >= 0) != (before.weight[i] >= 0);
        counts.at_clip += args.clip != kInfinity && std::fabs(after.weight[i]) >= args.clip;
      }
      EXPECT_EQ(after.counts.sign_flips, counts.sign_flips);
      EXPECT_EQ(after.counts.at_clip, counts.at_clip);
      if (count == 40001) {
        EXPECT_GT(counts.sign_flips, 0);
        EXPECT_EQ(counts.at_clip > 0, args.clip != kInfinity);
      }
    }
  }
};

TEST_P(OptimizerStepTest, Sgd) {
  for (const StepArgs& args : kSteps) {
    Check(
        1, args,
        [&](ExecContext& context, const float* g, State& s, int64_t count) {
          kernels_.sgd_step(context, args, 0.0f, false, g, nullptr, s.weight.data(), count, &s.counts);
        },
        [&](double g, double first, double second, double w) {
          return reference::StepElement{reference::Sgd(args, 0, false, g, 0, w).weight, first, second};
        });
    for (bool nesterov : {false, true}) {
      Check(
          2, args,
          [&](ExecContext& context, const float* g, State& s, int64_t count) {
            kernels_.sgd_step(context, args, 0.9f, nesterov, g, s.first.data(), s.weight.data(), count,
                              &s.counts);
          },
          [&](double g, double first, double second, double w) {
            auto expected = reference::Sgd(args, 0.9f, nesterov, g, first, w);
            expected.state2 = second;
            return expected;
          });
    }
  }
}

TEST_P(OptimizerStepTest, Adam) {
  for (const StepArgs& args : kSteps) {
    for (int64_t t : {1, 2, 1000, 10'000'000}) {
      const AdamArgs adam = {.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .t = t};
      SCOPED_TRACE(testing::Message() << "t " << t);
      Check(
          3, args,
          [&](ExecContext& context, const float* g, State& s, int64_t count) {
            kernels_.adam_step(context, args, adam, g, s.first.data(), s.second.data(),
                               s.weight.data(), count, &s.counts);
          },
          [&](double g, double first, double second, double w) {
            return reference::Adam(args, adam, g, first, second, w);
          });
    }
  }
}

TEST_P(OptimizerStepTest, AdaMax) {
  for (const StepArgs& args : kSteps) {
    const AdamArgs adam = {.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .t = 1000};
    Check(
        4, args,
        [&](ExecContext& context, const float* g, State& s, int64_t count) {
          kernels_.adamax_step(context, args, adam, g, s.first.data(), s.second.data(),
                               s.weight.data(), count, &s.counts);
        },
        [&](double g, double first, double second, double w) {
          return reference::AdaMax(args, adam, g, first, second, w);
        });
  }
}

TEST_P(OptimizerStepTest, NanIsKept) {
  const StepArgs args = {.learning_rate = 1, .gradient_scale = 1, .weight_decay = 0, .weight_scale = 1, .clip = 1};
  const std::vector<float> g(20, std::numeric_limits<float>::quiet_NaN());
  std::vector<float> w(20, 0.5f), m(20), v(20);
  StepCounts counts;
  kernels_.sgd_step(one_, args, 0.0f, false, g.data(), nullptr, w.data(), 20, &counts);
  for (float value : w) EXPECT_TRUE(std::isnan(value));
  w.assign(20, 0.5f);
  kernels_.adamax_step(one_, args, {.beta1 = 0.9f, .beta2 = 0.9f, .epsilon = 1e-8f, .t = 1}, g.data(),
                       m.data(), v.data(), w.data(), 20, &counts);
  for (float value : w) EXPECT_TRUE(std::isnan(value));
  for (float value : v) EXPECT_TRUE(std::isnan(value));
}

TEST_P(OptimizerStepTest, AnInfiniteClipIsNeverReached) {
  const StepArgs args = {.learning_rate = 1, .gradient_scale = 1, .weight_decay = 0, .weight_scale = 1, .clip = kInfinity};
  const std::vector<float> g(20, -kInfinity);
  std::vector<float> w(20, 0.5f);
  StepCounts counts;
  kernels_.sgd_step(one_, args, 0.0f, false, g.data(), nullptr, w.data(), 20, &counts);
  EXPECT_EQ(w, std::vector<float>(20, kInfinity));
  EXPECT_EQ(counts.at_clip, 0);
}

BITGRAD_INSTANTIATE_FOR_TARGETS(OptimizerStepTest);

// Bits of the new weight, in rows with and without a last part of a word, with the same weight as without bits.
TEST_P(OptimizerStepTest, SignsAreThoseOfTheNewWeight) {
  Random random(7);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [rows, cols] : MatrixShapes()) {
    SCOPED_TRACE(testing::Message() << rows << " x " << cols);
    const auto g = RandomVector(random, rows * cols), w = RandomVector(random, rows * cols, -0.5f, 0.5f);
    StepArgs args = {.learning_rate = 0.2f, .gradient_scale = 1, .weight_decay = 0, .weight_scale = 1, .clip = 0.6f};
    std::vector<float> plain = w;
    StepCounts plain_counts, counts;
    kernels_.sgd_step(one_, args, 0.0f, false, g.data(), nullptr, plain.data(), rows * cols, &plain_counts);
    const auto stepped = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> weight = w;
      BitMatrix signs = GarbageBits(rows, cols);
      args.signs = signs.mutable_view();
      kernels_.sgd_step(context, args, 0.0f, false, g.data(), nullptr, weight.data(), rows * cols, &counts);
      ExpectBits(signs, [&](int64_t i, int64_t j) { return weight[i * cols + j] >= 0; });
      return weight;
    });
    EXPECT_EQ(BytesOf(stepped), BytesOf(plain));
    EXPECT_EQ(counts.sign_flips, plain_counts.sign_flips);
    EXPECT_EQ(counts.at_clip, plain_counts.at_clip);
  }
}

}  // namespace
}  // namespace bitgrad
