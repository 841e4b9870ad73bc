// The op Quantize: values and surrogate gradients of every quantizer against tests/reference/quantizers.h.

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr uint64_t kSeed = 6;
constexpr int64_t kRows = 5, kCols = 67;

Quantizer Make(const std::string& text) { return ParseQuantizer(text).value(); }

std::vector<std::string> AllNames() {
  std::vector<std::string> names;
  for (const QuantizerInfo& info : AllQuantizers()) names.emplace_back(info.name);
  names.push_back("k_bit(5)");
  names.push_back("dorefa_weight(4)");
  return names;
}

// The statistic that element i sees.
double StatisticAt(const Quantizer& q, const Tensor& x, int64_t i) {
  const absl::Span<const float> all = x.span<float>();
  const absl::Span<const float> row = all.subspan(i / kCols * kCols, kCols);
  double sum = 0, max_tanh = 0, row_max = 0;
  for (float v : all) {
    sum += std::fabs(v);
    max_tanh = std::max(max_tanh, std::fabs(std::tanh(double{v})));
  }
  for (float v : row) row_max = std::max(row_max, std::fabs(double{v}));
  switch (q.statistic()) {
    case Statistic::kNone: return 0;
    case Statistic::kMeanAbs: return sum / static_cast<double>(all.size());
    case Statistic::kMaxAbsTanh: return max_tanh;
    case Statistic::kRowMaxAbs: return row_max;
  }
  return 0;
}

class QuantizeTest : public OnTestDevice<testing::TestWithParam<std::string>> {
 protected:
  Tensor OnDevice(const Tensor& host) { return ToDevice(context_, host); }
  Tensor OnHost(const absl::StatusOr<const Tensor*>& tensor) { return ToHost(context_, **tensor); }

  ExecContext context_{{.device = TestDevice(), .threads = 1, .seed = kSeed}};
  TestRandom random_{81};
  const Tensor x_ = random_.UniformTensor({kRows, kCols});
  const Tensor r_ = random_.UniformTensor({kRows, kCols});
};

TEST_P(QuantizeTest, ValuesAndSurrogate) {
  BITGRAD_TRACE(random_);
  const Quantizer q = Make(GetParam());
  Tape tape(context_);
  const Var x = tape.Differentiable(OnDevice(x_));
  const Var y = Quantize(x, q);
  ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(OnDevice(r_))))).ok()) << tape.status();
  const Tensor value = OnHost(tape.Value(y)), gradient = OnHost(tape.Gradient(x));
  const RngStream rng{.seed = kSeed, .purpose = RngPurpose::kQuantizer, .step = 1};
  int64_t compared = 0;
  for (int64_t i = 0; i < kRows * kCols; ++i) {
    SCOPED_TRACE(i);
    const double v = x_.data<float>()[i], statistic = StatisticAt(q, x_, i), u = Uniform(rng, i);
    const double size = std::max({1.0, std::fabs(v), statistic});
    if (q.is_identity() || reference::DistanceToJump(q, v, statistic, u) > 1e-5) {
      ++compared;
      EXPECT_NEAR(value.data<float>()[i], reference::Value(q, v, statistic, u), 8 * kRounding * size);
    }
    const double slope = reference::Surrogate(q, v, statistic), r = r_.data<float>()[i];
    const double steepness = std::max(4.0, 4.0 * q.args().parameter);
    EXPECT_NEAR(gradient.data<float>()[i], r * slope, 8 * kRounding * std::fabs(r) * steepness);
  }
  EXPECT_GT(compared, kRows * kCols * 9 / 10);
}

TEST_P(QuantizeTest, EvaluationDrawsNothing) {
  const Quantizer q = Make(GetParam()), deterministic = q.AtEvaluation(QuantizerRole::kActivation);
  if (q.statistic() == Statistic::kRowMaxAbs) return;  // for backward passes only: it has no form for evaluation
  Tape tape(context_, Mode::kEval);
  const Var x = tape.Input(OnDevice(x_));
  const Var y = Quantize(x, q);
  ExpectSameBits(OnHost(tape.Value(y)), OnHost(tape.Value(Quantize(x, deterministic))));
  EXPECT_EQ(y.index() == x.index(), q.is_identity());
}

INSTANTIATE_TEST_SUITE_P(Quantizers, QuantizeTest, testing::ValuesIn(AllNames()),
                         [](const testing::TestParamInfo<std::string>& info) {
                           std::string name = info.param;
                           for (char& c : name) c = std::isalnum(c) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace bitgrad
