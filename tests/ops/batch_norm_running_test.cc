// Running statistics of batch norm: what training averages, and how evaluation uses it.

#include <cmath>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/reference/ap2.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr int64_t kBatch = 9, kFeatures = 5;
constexpr float kEpsilon = 0.01f;

struct Variant {
  const char* name;
  EpsilonPlacement placement;
  BatchNormArithmetic arithmetic = BatchNormArithmetic::kExact;
};

class BatchNormRunningTest : public OnTestDevice<testing::TestWithParam<std::tuple<RunningStatistic, Variant>>> {
 protected:
  RunningStatistic statistic() const { return std::get<0>(GetParam()); }
  EpsilonPlacement placement() const { return std::get<1>(GetParam()).placement; }
  BatchNormArithmetic arithmetic() const { return std::get<1>(GetParam()).arithmetic; }

  BatchNormOptions Options(float momentum) const {
    return {.epsilon = kEpsilon,
            .momentum = momentum,
            .placement = placement(),
            .statistic = statistic(),
            .arithmetic = arithmetic()};
  }

  // The term of the variance for an example that is c away from the mean.
  double SquareOf(double c) const {
    return arithmetic() == BatchNormArithmetic::kExact ? c * c : c * reference::Ap2(c);
  }
  // What the formula multiplies by for inv_std or gamma.
  float FactorOf(float factor) const {
    return arithmetic() == BatchNormArithmetic::kExact ? factor : static_cast<float>(reference::Ap2(factor));
  }

  // The statistic that is averaged, for a batch with this variance.
  double StatisticOf(double variance) const {
    switch (statistic()) {
      case RunningStatistic::kVariance: return variance;
      case RunningStatistic::kStd: return std::sqrt(variance);
      case RunningStatistic::kInverseStd: return InverseOf(variance);
    }
    return 0;
  }
  double InverseOf(double variance) const {
    return placement() == EpsilonPlacement::kInsideRoot ? 1 / std::sqrt(variance + double{kEpsilon})
                                                        : 1 / (std::sqrt(variance) + double{kEpsilon});
  }
  // Evaluation's inv_std.
  double InverseFromStatistic(double value) const {
    switch (statistic()) {
      case RunningStatistic::kVariance: return InverseOf(value);
      case RunningStatistic::kStd: return InverseOf(value * value);
      case RunningStatistic::kInverseStd: return value;
    }
    return 0;
  }

  Tensor OnDevice(const Tensor& host) { return ToDevice(context_, host); }
  std::vector<float> OnHost(const Tensor& tensor) { return ValuesOf(ToHost(context_, tensor)); }

  Var Apply(Tape& tape, const Tensor& x, float momentum) {
    return ApplyBatchNorm(tape.Input(OnDevice(x)), tape.Use(gamma_), tape.Use(beta_), mean_, running_,
                          Options(momentum));
  }

  TestRandom random_{71};
  ExecContext context_{{.device = TestDevice(), .threads = 1}};
  Parameter gamma_ = MakeParameter("bn/gamma", OnDevice(random_.UniformTensor({kFeatures})));
  Parameter beta_ = MakeParameter("bn/beta", OnDevice(random_.UniformTensor({kFeatures})));
  Parameter mean_ = MakeParameter("bn/mean", OnDevice(random_.UniformTensor({kFeatures})));
  Parameter running_ = MakeParameter("bn/statistic", OnDevice(random_.UniformTensor({kFeatures}, 0.5f, 2)));
};

TEST_P(BatchNormRunningTest, TrainingAveragesWithTheMomentum) {
  BITGRAD_TRACE(random_);
  for (const float momentum : {0.0f, 0.1f, 0.15f, 1.0f}) {
    SCOPED_TRACE(momentum);
    for (int step = 0; step < 3; ++step) {
      const std::vector<float> mean_before = OnHost(mean_.value), before = OnHost(running_.value);
      const Tensor x = random_.UniformTensor({kBatch, kFeatures});
      Tape tape(context_);
      Apply(tape, x, momentum);
      ASSERT_TRUE(tape.status().ok()) << tape.status();
      const std::vector<float> mean_after = OnHost(mean_.value), after = OnHost(running_.value);
      for (int64_t j = 0; j < kFeatures; ++j) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < kBatch; ++i) mean += x.data<float>()[i * kFeatures + j] / double{kBatch};
        for (int64_t i = 0; i < kBatch; ++i) {
          variance += SquareOf(x.data<float>()[i * kFeatures + j] - mean) / double{kBatch};
        }
        const double p = momentum;
        EXPECT_NEAR(mean_after[j], (1 - p) * mean_before[j] + p * mean, 8 * kRounding * 2);
        const double expected = (1 - p) * before[j] + p * StatisticOf(variance);
        EXPECT_NEAR(after[j], expected, 16 * kRounding * std::fabs(expected));
        if (momentum == 0) {
          EXPECT_EQ(mean_after[j], mean_before[j]);
          EXPECT_EQ(after[j], before[j]);
        }
      }
    }
  }
}

TEST_P(BatchNormRunningTest, EvaluationUsesThemAndLeavesThemAlone) {
  BITGRAD_TRACE(random_);
  const Tensor x = random_.UniformTensor({kBatch, kFeatures});
  const std::vector<float> mean_before = OnHost(mean_.value), before = OnHost(running_.value);
  Tape tape(context_, Mode::kEval);
  const Var y = Apply(tape, x, 0.5f);
  ASSERT_TRUE(tape.status().ok()) << tape.status();
  const std::vector<float> value = OnHost(**tape.Value(y)), gamma = OnHost(gamma_.value), beta = OnHost(beta_.value);
  // The operands that an exporter finds on the tape: x, mean, inv_std, gamma, beta. With shifts, inv_std and gamma are
  // what another node has rounded.
  const Tape::Node& node = tape.nodes()[y.index()];
  ASSERT_EQ(node.inputs.size(), 5u);
  std::vector<float> operands[5];
  for (int k = 0; k < 5; ++k) {
    const Tape::Node& operand = tape.nodes()[node.inputs[k]];
    const bool is_rounded = arithmetic() != BatchNormArithmetic::kExact && (k == 2 || k == 3);
    ASSERT_EQ(operand.descriptor.op == "round_to_powers", is_rounded) << k;
    operands[k] = OnHost(is_rounded ? tape.nodes()[operand.inputs[0]].value : operand.value);
  }
  for (int64_t j = 0; j < kFeatures; ++j) {
    const double inverse = InverseFromStatistic(before[j]);
    EXPECT_NEAR(operands[2][j], inverse, 8 * kRounding * inverse);
    EXPECT_EQ(operands[1][j], mean_before[j]);
    EXPECT_EQ(operands[3][j], gamma[j]);
    for (int64_t i = 0; i < kBatch; ++i) {
      // The graph's expression, to the last bit.
      EXPECT_EQ(value[i * kFeatures + j], NormalizedValue(x.data<float>()[i * kFeatures + j], mean_before[j],
                                                          FactorOf(operands[2][j]), FactorOf(gamma[j]), beta[j]));
    }
  }
  EXPECT_EQ(OnHost(mean_.value), mean_before);
  EXPECT_EQ(OnHost(running_.value), before);
}

// With momentum 1 the running statistics are the batch's: evaluation repeats the training output.
TEST_P(BatchNormRunningTest, EvaluationRepeatsATrainingStepOfMomentumOne) {
  BITGRAD_TRACE(random_);
  const Tensor x = random_.UniformTensor({kBatch, kFeatures});
  Tape training(context_);
  const std::vector<float> trained = OnHost(**training.Value(Apply(training, x, 1)));
  Tape evaluation(context_, Mode::kEval);
  const std::vector<float> evaluated = OnHost(**evaluation.Value(Apply(evaluation, x, 1)));
  for (size_t i = 0; i < trained.size(); ++i) {
    EXPECT_NEAR(trained[i], evaluated[i], 64 * kRounding * (1 + std::fabs(trained[i])));
  }
}

TEST_P(BatchNormRunningTest, RunningStatisticsGetNoGradient) {
  Tape tape(context_);
  ASSERT_TRUE(tape.Backward(Sum(Apply(tape, random_.UniformTensor({kBatch, kFeatures}), 0.1f))).ok());
  EXPECT_FALSE(gamma_.gradient.is_null());
  EXPECT_FALSE(beta_.gradient.is_null());
  EXPECT_TRUE(mean_.gradient.is_null());
  EXPECT_TRUE(running_.gradient.is_null());
}

// PyTorch's running variance: that of the batch times N / (N - 1), whereas the batch itself is normalized as always.
TEST_P(BatchNormRunningTest, UnbiasedVariance) {
  if (statistic() != RunningStatistic::kVariance) return;
  BITGRAD_TRACE(random_);
  const Tensor x = random_.UniformTensor({kBatch, kFeatures});
  BatchNormOptions options = Options(0.25f);
  Parameter biased = MakeParameter("bn/biased", running_.value.Clone(context_.lasting_allocator()));
  Tape tape(context_);
  const auto apply = [&](Parameter& running) {
    return ApplyBatchNorm(tape.Input(OnDevice(x)), tape.Use(gamma_), tape.Use(beta_), mean_, running, options);
  };
  const std::vector<float> before = OnHost(running_.value);
  const Var y = apply(biased);
  options.unbiased = true;
  const Var unbiased_y = apply(running_);
  ASSERT_TRUE(tape.status().ok()) << tape.status();
  EXPECT_EQ(OnHost(**tape.Value(y)), OnHost(**tape.Value(unbiased_y)));
  const std::vector<float> after = OnHost(running_.value), after_biased = OnHost(biased.value);
  for (int64_t j = 0; j < kFeatures; ++j) {
    const double variance = (after_biased[j] - 0.75 * before[j]) / 0.25;
    const double expected = 0.75 * before[j] + 0.25 * variance * kBatch / (kBatch - 1);
    EXPECT_NEAR(after[j], expected, 64 * kRounding * expected);
  }
}

std::string VariantName(const testing::TestParamInfo<std::tuple<RunningStatistic, Variant>>& info) {
  const auto [statistic, variant] = info.param;
  const std::string name = statistic == RunningStatistic::kVariance ? "Variance"
                           : statistic == RunningStatistic::kStd    ? "Std"
                                                                    : "InverseStd";
  return name + variant.name;
}

INSTANTIATE_TEST_SUITE_P(Variants, BatchNormRunningTest,
                         testing::Combine(testing::Values(RunningStatistic::kVariance, RunningStatistic::kStd,
                                                          RunningStatistic::kInverseStd),
                                          testing::Values(Variant{"InsideRoot", EpsilonPlacement::kInsideRoot},
                                                          Variant{"OutsideRoot", EpsilonPlacement::kOutsideRoot},
                                                          Variant{"ShiftPaper", EpsilonPlacement::kInsideRoot,
                                                                  BatchNormArithmetic::kShiftPaper},
                                                          Variant{"ShiftTorch", EpsilonPlacement::kInsideRoot,
                                                                  BatchNormArithmetic::kShiftTorch})),
                         VariantName);

}  // namespace
}  // namespace bitgrad
