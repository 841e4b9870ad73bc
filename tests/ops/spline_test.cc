// Linear spline activations: values and gradients against a formula in double that knows neither intervals nor clamps,
// on and outside of the grid; norms, thresholds and what is kept for the backward pass.

#include "bitgrad/ops/spline.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/ops/spline_coefficients.h"
#include "bitgrad/tests/testing/gradient_check.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "hwy/targets.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

// sigma(x) as the sum of ReLUs that the coefficients stand for: the line of the first interval, and a change of slope
// at each inner knot.
double SumOfRelus(const double* c, int64_t knots, double range, double x) {
  const double step = range / static_cast<double>(knots / 2);
  double y = c[0] + (c[1] - c[0]) / step * (x + range);
  for (int64_t k = 1; k + 1 < knots; ++k) {
    const double a = (c[k - 1] - 2 * c[k] + c[k + 1]) / step;
    y += a * std::fmax(0.0, x - (static_cast<double>(k) * step - range));
  }
  return y;
}

std::vector<float> Sampled(const SplineGrid& grid, const std::function<double(double)>& f) {
  std::vector<float> c;
  for (int64_t k = 0; k < grid.knots; ++k) {
    c.push_back(static_cast<float>(f(static_cast<double>(k - grid.knots / 2) * grid.step())));
  }
  return c;
}

std::vector<float> Relu(const SplineGrid& grid) {
  return Sampled(grid, [](double x) { return x > 0 ? x : 0.0; });
}

class SplineTest : public OnTestDevice<testing::Test> {
 protected:
  ExecContext context_{{.device = TestDevice(), .threads = 1}};
  Tape tape_{context_};

  Var Input(const Tensor& tensor) { return tape_.Input(ToDevice(context_, tensor)); }
  Var Differentiable(const Tensor& tensor) { return tape_.Differentiable(ToDevice(context_, tensor)); }
  std::vector<float> ValuesOn(absl::StatusOr<const Tensor*> tensor) {
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    return tensor.ok() ? ValuesOf(ToHost(context_, **tensor)) : std::vector<float>();
  }
};
class SplinePenaltyTest : public OnTestDevice<testing::Test> {};

struct Case {
  Shape x;
  int64_t knots;
  float range;
};

TEST_F(SplineTest, ValuesAndGradientsOffTheKnotsAndOutsideTheRange) {
  uint64_t seed = 1;
  for (const Case& c : std::vector<Case>{{{7, 1}, 3, 1},
                                         {{9, 3}, 5, 0.5f},
                                         {{5, 17}, 21, 1},
                                         {{2, 3, 2, 5}, 51, 4},
                                         {{70, 33}, 9, 2},
                                         {{4}, 7, 1.5f}}) {
    SCOPED_TRACE(c.x.ToString() + " " + std::to_string(c.knots));
    const int64_t channels = c.x.cols();
    std::vector<float> kinks;
    for (int64_t k = 0; k < c.knots; ++k) {
      kinks.push_back(static_cast<float>(k - c.knots / 2) * c.range / static_cast<float>(c.knots / 2));
    }
    // Twice as far as the grid reaches, and near its ends the intervals where the clamps are.
    CheckGradients({.name = "spline",
                    .operands = {{.shape = c.x, .low = -2 * c.range, .high = 2 * c.range, .kinks = kinks},
                                 {.shape = {channels, c.knots}}},
                    .op = [&](absl::Span<const Var> v) { return Spline(v[0], v[1], c.range); },
                    .value =
                        [&](const Doubles& v) {
                          std::vector<double> y;
                          for (size_t i = 0; i < v[0].size(); ++i) {
                            const double* row = v[1].data() + static_cast<int64_t>(i) % channels * c.knots;
                            y.push_back(SumOfRelus(row, c.knots, c.range, v[0][i]));
                          }
                          return y;
                        },
                    // A place is p = x / T + (S - 1) / 2: an error of it counts as often as the grid has intervals.
                    .roundings = 16.0 * static_cast<double>(c.knots),
                    .magnitude = nullptr},
                   seed++);
  }
}

TEST(SplineOnCpuTest, TheSameBitsOnEveryInstructionSetAndAnyNumberOfThreads) {
  TestRandom random(3);
  struct Size {
    int64_t rows, channels, knots;
  };
  // Up to 33 knots fit two registers of 16 floats; of 100 channels some tables do not fit the first cache.
  for (const auto& [rows, channels, knots] : std::vector<Size>{{1, 1, 21},
                                                               {5, 2, 21},
                                                               {3001, 7, 21},
                                                               {4000, 40, 21},
                                                               {33, 16, 3},
                                                               {37, 100, 33},
                                                               {37, 100, 35},
                                                               {300, 3, 255}}) {
    const SplineGrid grid = {.knots = knots, .range = 1};
    const Tensor x = random.UniformTensor({rows, channels}, -1.5f, 1.5f), dy = random.UniformTensor({rows, channels});
    const Tensor c = random.UniformTensor({channels, grid.knots});
    std::vector<std::vector<float>> expected;
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      for (const int threads : {1, 3}) {
        ExecContext context({.threads = threads});
        Tape tape(context);
        const Var leaf = tape.Differentiable(x), table = tape.Differentiable(c);
        const Var y = Spline(leaf, table, grid.range);
        ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(dy)))).ok()) << tape.status();
        std::vector<std::vector<float>> bits = {ValuesOf(**tape.Value(y)), ValuesOf(**tape.Gradient(leaf)),
                                                ValuesOf(**tape.Gradient(table))};
        if (expected.empty()) expected = bits;
        EXPECT_EQ(bits, expected) << hwy::TargetName(target) << " " << threads << ", " << channels << " channels, "
                                  << knots << " knots";
      }
    }
    hwy::SetSupportedTargetsForTest(0);
  }
}

TEST_F(SplineTest, AnInputThatIsNoNumberStaysOneAndTouchesNoOtherMemory) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const SplineGrid grid = {.knots = 5, .range = 1};
  std::vector<float> c = Sampled(grid, [](double x) { return 2 * x; });
  const Var y = Spline(Input(Floats({1, 9}, {nan, inf, -inf, 1e30f, -1e30f, 0, -0.0f, nan, nan}).Alias({9, 1})),
                       Input(Floats({1, 5}, c)), 1);
  const std::vector<float> values = ValuesOn(tape_.Value(y));
  ASSERT_EQ(values.size(), size_t{9});
  EXPECT_TRUE(std::isnan(values[0]) && std::isnan(values[8]));
  EXPECT_EQ(values[1], inf);
  EXPECT_EQ(values[2], -inf);
  EXPECT_FLOAT_EQ(values[3], 2e30f);
  EXPECT_FLOAT_EQ(values[4], -2e30f);
  EXPECT_EQ(values[5], 0);
}

// What the tape keeps: as much as ReLU where the coefficients learn, a byte per element where they do not.
TEST_F(SplineTest, MemoryOfTheBackwardPass) {
  constexpr int64_t kCount = 1 << 16;
  const SplineGrid grid = {.knots = 21, .range = 1};
  const Tensor x = ToDevice(context_, Filled({kCount / 16, 16}, 0.25f));
  Tensor relus = Filled({16, 21}, 0);
  for (int64_t n = 0; n < 16; ++n) std::copy_n(Relu(grid).begin(), 21, relus.mutable_data<float>() + n * 21);
  const Tensor c = ToDevice(context_, relus);
  const auto kept = [&](const std::function<Var(Tape&, const Var&)>& activation) {
    Tape tape(context_);
    const Var leaf = tape.Differentiable(x);
    const size_t before = context_.allocator().live_bytes();
    // The handles of values in between are gone: only what backward functions hold is left.
    const Var loss = Sum(activation(tape, Mul(leaf, leaf)));
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    return static_cast<int64_t>(context_.allocator().live_bytes() - before);
  };
  const int64_t relu = kept([](Tape&, const Var& v) { return bitgrad::Relu(v); });
  const int64_t learned = kept([&](Tape& tape, const Var& v) { return Spline(v, tape.Differentiable(c), 1); });
  const int64_t constant = kept([&](Tape& tape, const Var& v) { return Spline(v, tape.Input(c), 1); });
  EXPECT_GE(relu, 4 * kCount);
  EXPECT_LE(learned, relu + 1024);
  EXPECT_GE(constant, kCount);
  EXPECT_LE(constant, kCount + 1024);
  // Where x is there anyhow it is not kept once more.
  const Var leaf = tape_.Differentiable(x), table = tape_.Differentiable(c);
  const size_t before = context_.allocator().live_bytes();
  const Var loss = Sum(Spline(leaf, table, 1));
  EXPECT_LE(context_.allocator().live_bytes() - before, size_t{1024});
}

TEST_F(SplineTest, DxWithoutCoefficientsThatLearnHasTheSameBits) {
  TestRandom random(5);
  const Tensor x = random.UniformTensor({301, 5}), dy = random.UniformTensor({301, 5});
  const Tensor c = random.UniformTensor({5, 9});
  std::vector<float> gradients[2];
  for (const bool learns : {false, true}) {
    tape_.Reset();
    const Var leaf = Differentiable(x), table = learns ? Differentiable(c) : Input(c);
    ASSERT_TRUE(tape_.Backward(Sum(Mul(Spline(leaf, table, 1), Input(dy)))).ok()) << tape_.status();
    gradients[learns] = ValuesOn(tape_.Gradient(leaf));
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

// The op of evaluations has what the plain function gives.
TEST_F(SplineTest, SparsifiedCoefficients) {
  TestRandom random(8);
  const SplineGrid grid = {.knots = 21, .range = 1};
  const Tensor c = random.UniformTensor({40, 21}, -0.05f, 0.05f);
  std::vector<float> expected = ValuesOf(c);
  for (size_t n = 0; n < 40; ++n) SparsifySpline(grid, 0.8, absl::MakeSpan(expected).subspan(n * 21, 21));
  EXPECT_NE(expected, ValuesOf(c));
  EXPECT_EQ(ValuesOn(tape_.Value(Sparsify(Input(c), 1, 0.8f))), expected);
}

TEST_F(SplineTest, LinearTerm) {
  CheckGradients({.name = "spline_linear_term",
                  .operands = {{.shape = {3, 7}}, {.shape = {3}}, {.shape = {3}}},
                  .op = [](absl::Span<const Var> v) { return AddLinearTerm(v[0], v[1], v[2], 1.5f); },
                  .value =
                      [](const Doubles& v) {
                        std::vector<double> y;
                        for (size_t i = 0; i < 21; ++i) {
                          const double knot = (static_cast<double>(i % 7) - 3) * 0.5;
                          y.push_back(v[0][i] + v[1][i / 7] + v[2][i / 7] * knot);
                        }
                        return y;
                      },
                  .magnitude = nullptr},
                 1);
}

TEST(SplineCoefficientsTest, NormsOfReluAndOthers) {
  for (const int64_t knots : {3, 5, 21, 51, 255}) {
    for (const float range : {0.5f, 1.0f, 3.0f, 4.0f}) {
      const SplineGrid grid = {.knots = knots, .range = range};
      SCOPED_TRACE(testing::Message() << knots << " knots, range " << range);
      const std::vector<float> relu = Relu(grid);
      EXPECT_NEAR(Tv2(relu, grid), 1, 1e-5);
      EXPECT_NEAR(Bv2(relu, grid), 2, 1e-5) << "TV2 + sigma(1)";
      EXPECT_EQ(ActiveKnots(relu, grid, 1e-3), 1);
      EXPECT_NEAR(LargestSlope(relu, grid), 1, 1e-5);
      EXPECT_EQ(Tv2(Sampled(grid, [](double x) { return 3 * x + 2; }), grid), 0);
      EXPECT_NEAR(Tv2(Sampled(grid, [](double x) { return std::fabs(x); }), grid), 2, 1e-5);
    }
  }
}

TEST(SplineCoefficientsTest, SparsifyIsARoundTripAndRemovesWhatIsBelowTheThreshold) {
  TestRandom random(7);
  const SplineGrid grid = {.knots = 21, .range = 1};
  std::vector<float> c = ValuesOf(random.UniformTensor({21}));
  const std::vector<float> before = c;
  SparsifySpline(grid, 0, absl::MakeSpan(c));
  EXPECT_EQ(c, before) << "nothing to remove";

  // With one slope too small for the threshold, the others stay, and so do the two coefficients on the left.
  std::vector<double> slopes = SplineSlopes(c, grid);
  c[5] = (before[4] + before[6]) / 2 - 0.0005f;
  slopes = SplineSlopes(c, grid);
  ASSERT_LT(std::fabs(slopes[4]), 0.02);
  SparsifySpline(grid, 0.05, absl::MakeSpan(c));
  const std::vector<double> after = SplineSlopes(c, grid);
  int64_t removed = 0;
  for (size_t k = 0; k < after.size(); ++k) {
    if (std::fabs(slopes[k]) < 0.05) {
      EXPECT_EQ(after[k], 0) << k;
      ++removed;
    } else {
      EXPECT_NEAR(after[k], slopes[k], 1e-4) << k;
    }
  }
  EXPECT_GE(removed, 1);
  EXPECT_EQ(c[0], before[0]);
  EXPECT_EQ(c[1], before[1]);
  EXPECT_EQ(ActiveKnots(c, grid, 0), 19 - removed);
  const std::vector<float> once = c;
  SparsifySpline(grid, 0.05, absl::MakeSpan(c));
  EXPECT_EQ(c, once) << "twice is once";
}

TEST_F(SplinePenaltyTest, ValuesAndGradients) {
  const auto penalty = [](SplinePenaltyKind kind) {
    return GradientCase{.name = "spline_penalty",
                        .operands = {{.shape = {4, 9}}},
                        .op = [kind](absl::Span<const Var> v) { return SplinePenalty(v[0], 2, kind); },
                        .value =
                            [kind](const Doubles& v) {
                              double sum = 0;
                              for (size_t n = 0; n < 4; ++n) {
                                const double* c = v[0].data() + 9 * n;
                                for (size_t k = 1; k < 8; ++k) sum += std::fabs(c[k - 1] - 2 * c[k] + c[k + 1]) / 0.5;
                                if (kind == SplinePenaltyKind::kBv2) sum += std::fabs(c[4]) + std::fabs(c[6]);
                              }
                              return std::vector<double>{sum};
                            },
                        .magnitude = nullptr};
  };
  CheckGradients(penalty(SplinePenaltyKind::kTv2), 1);
  CheckGradients(penalty(SplinePenaltyKind::kBv2), 2);
}

TEST(SplineOnCpuTest, BadInput) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const auto message = [](Shape x, Shape c, float range) {
    ExecContext context({.threads = 1});
    Tape tape(context);
    const Var y = Spline(tape.Input(Filled(x, 0)), tape.Differentiable(Filled(c, 0)), range);
    EXPECT_FALSE(tape.status().ok());
    return std::string(tape.status().message());
  };
  EXPECT_THAT(message({2, 3}, {3, 20}, 1), HasSubstr("20 knots; it has to be an odd number from 3 to 255"));
  EXPECT_THAT(message({2, 3}, {3, 257}, 1), HasSubstr("257 knots"));
  EXPECT_THAT(message({2, 3}, {3, 1}, 1), HasSubstr("1 knots"));
  for (const float range : {0.0f, -1.0f, inf, nan, 1e-45f})
    EXPECT_THAT(message({2, 3}, {3, 21}, range), HasSubstr("range"));
  EXPECT_THAT(message({2, 3}, {4, 21}, 1), HasSubstr("does not have the 4 channels"));
  EXPECT_THAT(message({2, 3}, {3}, 1), HasSubstr("[channels, knots]"));
  EXPECT_THAT(message({}, {3, 21}, 1), HasSubstr("channels"));
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  Sparsify(tape.Input(Filled({1, 5}, 0)), 1, -1);
  EXPECT_THAT(std::string(tape.status().message()), HasSubstr("threshold"));
}

}  // namespace
}  // namespace bitgrad
