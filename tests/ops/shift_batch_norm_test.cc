// BNN's shift-based batch norm, the paper's and that of the authors' Torch code, against their formulas in double.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/batch_norm_estimation.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/reference/shift_batch_norm.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr float kEpsilon = 0.01f;

class ShiftBatchNormTest : public OnTestDevice<testing::TestWithParam<BatchNormArithmetic>> {
 protected:
  BatchNormOptions Options() const {
    return {.epsilon = kEpsilon, .statistic = RunningStatistic::kInverseStd, .arithmetic = GetParam()};
  }
  bool as_torch() const { return GetParam() == BatchNormArithmetic::kShiftTorch; }

  Tensor OnDevice(const Tensor& host) { return ToDevice(context_, host); }
  std::vector<float> OnHost(const Tensor& tensor) { return ValuesOf(ToHost(context_, tensor)); }

  // Parameters for n features; gammas of both signs, and a zero.
  void MakeParameters(int64_t n) {
    Tensor gamma = random_.UniformTensor({n});
    if (n > 1) gamma.mutable_data<float>()[n - 1] = 0;
    gamma_ = MakeParameter("bn/gamma", OnDevice(gamma));
    beta_ = MakeParameter("bn/beta", OnDevice(random_.UniformTensor({n})));
    mean_ = MakeParameter("bn/mean", OnDevice(Filled({n}, 0)));
    statistic_ = MakeParameter("bn/statistic", OnDevice(Filled({n}, 1)));
  }
  Var Apply(const Var& x) {
    Tape& tape = *x.tape();
    return ApplyBatchNorm(x, tape.Use(gamma_), tape.Use(beta_), mean_, statistic_, Options());
  }

  // Column j of the reference for x [.., n].
  static std::vector<double> Column(const Tensor& x, int64_t j) {
    const int64_t n = x.shape().cols();
    std::vector<double> column;
    for (int64_t i = 0; i < x.shape().rows(); ++i) column.push_back(x.data<float>()[i * n + j]);
    return column;
  }
  reference::ShiftBatchNorm Reference(const Tensor& x, int64_t j) {
    return reference::ShiftBatchNormForward(Column(x, j), OnHost(gamma_.value)[j], OnHost(beta_.value)[j],
                                            double{kEpsilon});
  }

  TestRandom random_{83};
  ExecContext context_{{.device = TestDevice(), .threads = 2}};
  Parameter gamma_, beta_, mean_, statistic_;
};

// x and dy are at most 2, AP2(gamma) is too, and AP2(1 / std) is at most 8.
TEST_P(ShiftBatchNormTest, ValuesAndGradients) {
  BITGRAD_TRACE(random_);
  for (const Shape& shape : {Shape({2, 1}), Shape({3, 5}), Shape({33, 17}), Shape({5, 65}), Shape({3, 2, 4, 7})}) {
    SCOPED_TRACE(shape.ToString());
    const int64_t n = shape.cols(), rows = shape.rows();
    MakeParameters(n);
    const Tensor x = random_.UniformTensor(shape), dy = random_.UniformTensor(shape);
    Tape tape(context_);
    const Var input = tape.Differentiable(OnDevice(x));
    const Var y = Apply(input);
    const absl::Status status = tape.Backward(Sum(Mul(y, tape.Input(OnDevice(dy)))));
    ASSERT_TRUE(status.ok()) << status;
    const std::vector<float> values = OnHost(**tape.Value(y)), dx = OnHost(**tape.Gradient(input));
    const std::vector<float> dgamma = OnHost(gamma_.gradient), dbeta = OnHost(beta_.gradient);
    const std::vector<float> gamma = OnHost(gamma_.value);
    for (int64_t j = 0; j < n; ++j) {
      const reference::ShiftBatchNorm norm = Reference(x, j);
      const auto gradients = reference::ShiftBatchNormBackward(norm, Column(dy, j), gamma[j], as_torch());
      const double tolerance = 64 * kRounding * static_cast<double>(rows);
      EXPECT_NEAR(dgamma[j], gradients.dgamma, 8 * tolerance) << "feature " << j;
      EXPECT_NEAR(dbeta[j], gradients.dbeta, tolerance) << "feature " << j;
      for (int64_t i = 0; i < rows; ++i) {
        EXPECT_NEAR(values[i * n + j], norm.y[i], 1024 * kRounding) << "feature " << j << ", row " << i;
        EXPECT_NEAR(dx[i * n + j], gradients.dx[i], 32 * tolerance) << "feature " << j << ", row " << i;
      }
    }
  }
}

// Signs that a quantizer takes straight from batch norm are those of its values: they see the rounded factors.
TEST_P(ShiftBatchNormTest, SignsAreThoseOfTheValues) {
  BITGRAD_TRACE(random_);
  MakeParameters(70);
  const Tensor x = random_.UniformTensor({33, 70});
  Tape tape(context_);
  const Var y = Apply(tape.Input(OnDevice(x)));
  const std::vector<float> signs = OnHost(**tape.Value(Quantize(y, Sign())));
  const std::vector<float> values = OnHost(**tape.Value(y));
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(signs[i], values[i] >= 0 ? 1 : -1) << i;
}

// The running statistics are averages of what is not rounded.
TEST_P(ShiftBatchNormTest, EstimationAveragesTheBatches) {
  BITGRAD_TRACE(random_);
  constexpr int64_t n = 6;
  MakeParameters(n);
  std::vector<double> mean(n), inv_std(n);
  for (int64_t k = 1; k <= 3; ++k) {
    const Tensor x = random_.UniformTensor({11, n});
    Tape tape(context_, Mode::kEval);
    const Var y = ApplyBatchNormEstimating(tape.Input(OnDevice(x)), tape.Use(gamma_), tape.Use(beta_), mean_,
                                           statistic_, k, Options());
    ASSERT_TRUE(tape.status().ok()) << tape.status();
    const std::vector<float> values = OnHost(**tape.Value(y));
    for (int64_t j = 0; j < n; ++j) {
      const reference::ShiftBatchNorm norm = Reference(x, j);
      mean[j] += norm.mean;
      inv_std[j] += norm.inv_std;
      EXPECT_NEAR(OnHost(mean_.value)[j], mean[j] / static_cast<double>(k), 32 * kRounding);
      EXPECT_NEAR(OnHost(statistic_.value)[j], inv_std[j] / static_cast<double>(k), 64 * kRounding);
      for (int64_t i = 0; i < 11; ++i) EXPECT_NEAR(values[i * n + j], norm.y[i], 1024 * kRounding);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, ShiftBatchNormTest,
                         testing::Values(BatchNormArithmetic::kShiftPaper, BatchNormArithmetic::kShiftTorch),
                         [](const testing::TestParamInfo<BatchNormArithmetic>& info) {
                           return std::string(info.param == BatchNormArithmetic::kShiftTorch ? "Torch" : "Paper");
                         });

}  // namespace
}  // namespace bitgrad
