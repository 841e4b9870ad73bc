#include "bitgrad/ops/kernels/optimizer_step.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/optimizer_step.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using reference::StepArgs;

const StepArgs kSteps[] = {
    {.rate = 0.1f},
    {.rate = 0.5f, .gradient_scale = 0.5f, .weight_decay = 0.01f, .weight_scale = 3, .clip = 1},
};

// Everything that a step reads and writes.
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
  // Runs step(context, scalars, tensor, counts) with as many slots as it takes, and compares the result with
  // reference(g, first, second, w) of each element.
  template <typename Step, typename Reference>
  void Check(uint64_t seed, const StepArgs& args, int slots, const Step& step, const Reference& reference) {
    Random random(seed);
    BITGRAD_TRACE_SEED(random);
    for (int64_t count : VectorSizes()) {
      SCOPED_TRACE(testing::Message() << count << ", clip " << args.clip);
      const auto gradient = RandomVector(random, count, -1, 1);
      const State before = {RandomVector(random, count, -1, 1),
                            RandomVector(random, count, -1, 1),
                            RandomVector(random, count, 0.01f, 1),
                            {-1, -1}};
      State after;
      OnOneAndTwoThreads([&](ExecContext& context) {
        after = before;
        const StepScalars scalars = args.scalars();
        const StepTensor tensor =
            args.Tensor(gradient.data(), after.weight.data(), slots > 0 ? after.first.data() : nullptr,
                        slots > 1 ? after.second.data() : nullptr, count);
        step(context, &scalars, absl::MakeConstSpan(&tensor, 1), &after.counts);
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
        1, args, 0,
        [&](ExecContext& context, const StepScalars* scalars, absl::Span<const StepTensor> tensors,
            StepCounts* counts) { kernels_.sgd_step(context, 0.0f, false, scalars, tensors, counts); },
        [&](double g, double first, double second, double w) {
          return reference::StepElement{reference::Sgd(args, 0, false, g, 0, w).weight, first, second};
        });
    for (bool nesterov : {false, true}) {
      Check(
          2, args, 1,
          [&](ExecContext& context, const StepScalars* scalars, absl::Span<const StepTensor> tensors,
              StepCounts* counts) { kernels_.sgd_step(context, 0.9f, nesterov, scalars, tensors, counts); },
          [&](double g, double first, double second, double w) {
            auto expected = reference::Sgd(args, 0.9f, nesterov, g, first, w);
            expected.state2 = second;
            return expected;
          });
    }
  }
}

constexpr AdamArgs kAdam = {.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f};

TEST_P(OptimizerStepTest, Adam) {
  for (const StepArgs& args : kSteps) {
    Check(
        3, args, 2,
        [&](ExecContext& context, const StepScalars* scalars, absl::Span<const StepTensor> tensors,
            StepCounts* counts) { kernels_.adam_step(context, kAdam, scalars, tensors, counts); },
        [&](double g, double first, double second, double w) {
          return reference::Adam(args, kAdam, g, first, second, w);
        });
  }
}

TEST_P(OptimizerStepTest, AdaMax) {
  for (const StepArgs& args : kSteps) {
    Check(
        4, args, 2,
        [&](ExecContext& context, const StepScalars* scalars, absl::Span<const StepTensor> tensors,
            StepCounts* counts) { kernels_.adamax_step(context, kAdam, scalars, tensors, counts); },
        [&](double g, double first, double second, double w) {
          return reference::AdaMax(args, kAdam, g, first, second, w);
        });
  }
}

TEST_P(OptimizerStepTest, NanIsKept) {
  const StepArgs args = {.rate = 1, .clip = 1};
  const StepScalars scalars = args.scalars();
  const std::vector<float> g(20, std::numeric_limits<float>::quiet_NaN());
  std::vector<float> w(20, 0.5f), m(20), v(20);
  StepCounts counts;
  kernels_.sgd_step(one_, 0.0f, false, &scalars, {args.Tensor(g.data(), w.data(), nullptr, nullptr, 20)}, &counts);
  for (float value : w) EXPECT_TRUE(std::isnan(value));
  w.assign(20, 0.5f);
  kernels_.adamax_step(one_, kAdam, &scalars, {args.Tensor(g.data(), w.data(), m.data(), v.data(), 20)}, &counts);
  for (float value : w) EXPECT_TRUE(std::isnan(value));
  for (float value : v) EXPECT_TRUE(std::isnan(value));
}

TEST_P(OptimizerStepTest, AnInfiniteClipIsNeverReached) {
  const StepArgs args = {.rate = 1};
  const StepScalars scalars = args.scalars();
  const std::vector<float> g(20, -kInfinity);
  std::vector<float> w(20, 0.5f);
  StepCounts counts;
  kernels_.sgd_step(one_, 0.0f, false, &scalars, {args.Tensor(g.data(), w.data(), nullptr, nullptr, 20)}, &counts);
  EXPECT_EQ(w, std::vector<float>(20, kInfinity));
  EXPECT_EQ(counts.at_clip, 0);
}

// Several tensors, each with its own weight decay, scale and clip.
TEST_P(OptimizerStepTest, SeveralTensors) {
  const StepArgs slow = {.rate = 1, .weight_scale = 0.25f}, fast = {.rate = 1, .weight_scale = 2, .clip = 1};
  const StepScalars scalars = slow.scalars();
  const std::vector<float> g(30, -1);
  std::vector<float> a(20), b(30);
  StepCounts counts[2];
  kernels_.sgd_step(
      one_, 0.0f, false, &scalars,
      {slow.Tensor(g.data(), a.data(), nullptr, nullptr, 20), fast.Tensor(g.data(), b.data(), nullptr, nullptr, 30)},
      counts);
  EXPECT_EQ(a, std::vector<float>(20, 0.25f));
  EXPECT_EQ(b, std::vector<float>(30, 1.0f));
  EXPECT_EQ(counts[0].at_clip, 0);
  EXPECT_EQ(counts[1].at_clip, 30);
}

TEST_P(OptimizerStepTest, AFailedStepChangesNothing) {
  const StepArgs args = {.rate = 1};
  StepScalars scalars = args.scalars();
  scalars.failed = 1;
  const std::vector<float> g(20, 1);
  std::vector<float> w(20, 0.5f), m(20, 0.25f), v(20, 0.125f);
  StepCounts counts = {0, 0};
  const StepTensor tensor = args.Tensor(g.data(), w.data(), m.data(), v.data(), 20);
  kernels_.sgd_step(one_, 0.9f, false, &scalars, {tensor}, &counts);
  kernels_.adam_step(one_, kAdam, &scalars, {tensor}, &counts);
  kernels_.adamax_step(one_, kAdam, &scalars, {tensor}, &counts);
  EXPECT_EQ(w, std::vector<float>(20, 0.5f));
  EXPECT_EQ(m, std::vector<float>(20, 0.25f));
  EXPECT_EQ(v, std::vector<float>(20, 0.125f));
  EXPECT_EQ(counts.sign_flips, 0);
}

TEST_P(OptimizerStepTest, PreparesAStep) {
  const std::vector<StepTensor> tensors(2, StepArgs().Tensor(nullptr, nullptr, nullptr, nullptr, 0));
  const auto prepare = [&](std::vector<double> squares, double max_norm, float loss, int32_t failed = 0) {
    StepScalars scalars = {.rate = 7, .gradient_scale = -1, .failed = failed};
    StepCounts counts[2] = {{5, 6}, {7, 8}};
    kernels_.prepare_step(one_, squares.data(), &loss, max_norm, tensors, &scalars, counts);
    for (const StepCounts& count : counts) EXPECT_TRUE(count.sign_flips == 0 && count.at_clip == 0);
    EXPECT_EQ(scalars.rate, 7);
    return scalars;
  };
  EXPECT_EQ(prepare({9, 16}, 0, 1).gradient_scale, 1);
  EXPECT_EQ(prepare({9, 16}, 2, 1).gradient_scale, 0.4f);
  EXPECT_EQ(prepare({9, 16}, 5, 1).gradient_scale, 1);
  EXPECT_EQ(prepare({9, 16}, 2, 1).failed, 0);
  EXPECT_EQ(prepare({9, 16}, 2, 1, 1).failed, 1);  // it stays set
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_EQ(prepare({9, 16}, 0, bad).failed, 1);
    EXPECT_EQ(prepare({9, bad}, 0, 1).failed, 1);
  }
}

BITGRAD_INSTANTIATE_FOR_TARGETS(OptimizerStepTest);

// The bits are those of the new weight, in rows that do and do not end within a word; the weight is the same as without
// bits.
TEST_P(OptimizerStepTest, SignsAreThoseOfTheNewWeight) {
  Random random(7);
  BITGRAD_TRACE_SEED(random);
  for (const auto& [rows, cols] : MatrixShapes()) {
    SCOPED_TRACE(testing::Message() << rows << " x " << cols);
    const auto g = RandomVector(random, rows * cols), w = RandomVector(random, rows * cols, -0.5f, 0.5f);
    const StepArgs args = {.rate = 0.2f, .clip = 0.6f};
    const StepScalars scalars = args.scalars();
    std::vector<float> plain = w;
    StepCounts plain_counts, counts;
    kernels_.sgd_step(one_, 0.0f, false, &scalars, {args.Tensor(g.data(), plain.data(), nullptr, nullptr, rows * cols)},
                      &plain_counts);
    const auto stepped = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> weight = w;
      BitMatrix signs = GarbageBits(rows, cols);
      StepTensor tensor = args.Tensor(g.data(), weight.data(), nullptr, nullptr, rows * cols);
      tensor.signs = signs.mutable_view();
      kernels_.sgd_step(context, 0.0f, false, &scalars, {tensor}, &counts);
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
