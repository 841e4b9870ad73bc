// Every differentiable op on odd shapes: values and gradients against its formula in double precision.
// Quantized products are in linear_quantizers_test.cc.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "bitgrad/core/rng.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/concat.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/matmul.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/ops/scale_penalty.h"
#include "bitgrad/tests/testing/gradient_check.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using Vars = absl::Span<const Var>;
using Array = std::vector<double>;

// An op, made for a first operand of [m, n].
struct OpCase {
  const char* name;
  std::function<GradientCase(int64_t m, int64_t n)> make;
  friend std::ostream& operator<<(std::ostream& out, const OpCase& c) { return out << c.name; }
};

// ---- Elementwise --------------------------------------------------------------------------------------

OpCase Pointwise(const char* name, Var (*op)(const Var&), double (*f)(double), std::vector<float> kinks,
                 double roundings) {
  return {name, [=](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, n}, .kinks = kinks}},
                                .op = [op](Vars v) { return op(v[0]); },
                                .value =
                                    [f](const Doubles& v) {
                                      Array y;
                                      for (double x : v[0]) y.push_back(f(x));
                                      return y;
                                    },
                                .roundings = roundings};
          }};
}

OpCase TwoOperands(const char* name, bool broadcast, Var (*op)(const Var&, const Var&), double (*f)(double, double)) {
  return {name, [=](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, n}}, {.shape = broadcast ? Shape({n}) : Shape({m, n})}},
                                .op = [op](Vars v) { return op(v[0], v[1]); },
                                .value =
                                    [=](const Doubles& v) {
                                      Array y;
                                      for (size_t i = 0; i < v[0].size(); ++i) {
                                        y.push_back(f(v[0][i], v[1][i % v[1].size()]));
                                      }
                                      return y;
                                    },
                                .roundings = 4};
          }};
}

constexpr double kSlope = 0.125;
constexpr float kKeep = 0.75f;

OpCase DropoutCase() {
  return {"dropout", [](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, n}}},
                                .op = [](Vars v) { return ApplyDropout(v[0], kKeep); },
                                .value =
                                    [](const Doubles& v) {
                                      const RngStream rng{.seed = kGradientCheckSeed,
                                                          .purpose = RngPurpose::kDropout,
                                                          .step = kGradientCheckStep};
                                      Array y;
                                      for (size_t i = 0; i < v[0].size(); ++i) {
                                        y.push_back(Uniform(rng, i) < kKeep ? v[0][i] / double{kKeep} : 0);
                                      }
                                      return y;
                                    },
                                .roundings = 4};
          }};
}

// ---- Products -----------------------------------------------------------------------------------------

// sum_l a[i, l] b(l, j)
Array Product(const Array& a, const Array& b, int64_t m, int64_t k, int64_t n, bool b_transposed) {
  Array y(m * n, 0);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t l = 0; l < k; ++l) {
        y[i * n + j] += a[i * k + l] * (b_transposed ? b[j * k + l] : b[l * n + j]);
      }
    }
  }
  return y;
}

OpCase LinearCase(const char* name, int64_t out, bool bias) {
  return {name, [=](int64_t m, int64_t n) {
            GradientCase c{.operands = {{.shape = {m, n}}, {.shape = {out, n}}},
                           .op =
                               [bias](Vars v) {
                                 const Var y = Linear(v[0], v[1]);
                                 return bias ? Add(y, v[2]) : y;
                               },
                           .value =
                               [=](const Doubles& v) {
                                 Array y = Product(v[0], v[1], m, n, out, true);
                                 for (size_t i = 0; bias && i < y.size(); ++i) y[i] += v[2][i % out];
                                 return y;
                               },
                           .roundings = 4.0 + std::max({m, n, out})};
            if (bias) c.operands.push_back({.shape = {out}});
            return c;
          }};
}

// All dimensions of x but the last are batch.
OpCase LinearOfImages() {
  return {"linear_of_rank_3", [](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, 2, n}}, {.shape = {3, n}}},
                                .op = [](Vars v) { return Linear(v[0], v[1]); },
                                .value = [=](const Doubles& v) { return Product(v[0], v[1], 2 * m, n, 3, true); },
                                .roundings = 4.0 + std::max<int64_t>(2 * m, n)};
          }};
}

OpCase MatMulCase() {
  return {"matmul", [](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, n}}, {.shape = {n, 4}}},
                                .op = [](Vars v) { return MatMul(v[0], v[1]); },
                                .value = [=](const Doubles& v) { return Product(v[0], v[1], m, n, 4, false); },
                                .roundings = 4.0 + std::max(m, n)};
          }};
}

// ---- Shapes and sums ----------------------------------------------------------------------------------

OpCase Copying(const char* name, std::function<Shape(int64_t m, int64_t n)> shape, Var (*op)(const Var&)) {
  return {name, [=](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = shape(m, n)}},
                                .op = [op](Vars v) { return op(v[0]); },
                                .value = [](const Doubles& v) { return v[0]; },
                                .roundings = 1};
          }};
}

OpCase ConcatCase(const char* name, std::function<std::vector<int64_t>(int64_t n)> widths_of) {
  return {name, [=](int64_t m, int64_t n) {
            const std::vector<int64_t> widths = widths_of(n);
            GradientCase c{.op = [](Vars v) { return Concat(v); },
                           .value =
                               [=](const Doubles& v) {
                                 Array y;
                                 for (int64_t i = 0; i < m; ++i) {
                                   for (size_t k = 0; k < v.size(); ++k) {
                                     for (int64_t j = 0; j < widths[k]; ++j) {
                                       y.push_back(v[k][i * widths[k] + j]);
                                     }
                                   }
                                 }
                                 return y;
                               },
                           .roundings = 1};
            for (int64_t width : widths) c.operands.push_back({.shape = {m, width}});
            return c;
          }};
}

OpCase SumCase(const char* name, Var (*op)(const Var&), bool mean) {
  return {name, [=](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, n}}},
                                .op = [op](Vars v) { return op(v[0]); },
                                .value =
                                    [=](const Doubles& v) {
                                      double sum = 0;
                                      for (double x : v[0]) sum += x;
                                      return Array{mean ? sum / static_cast<double>(m * n) : sum};
                                    },
                                .roundings = 4};
          }};
}

OpCase MulPerChannelCase() {
  return {"mul_per_channel", [](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, 2, 3, n}}, {.shape = {n}}},
                                .op = [](Vars v) { return Mul(v[0], v[1]); },
                                .value =
                                    [](const Doubles& v) {
                                      Array y;
                                      for (size_t i = 0; i < v[0].size(); ++i) {
                                        y.push_back(v[0][i] * v[1][i % v[1].size()]);
                                      }
                                      return y;
                                    },
                                .roundings = 4};
          }};
}

OpCase ScalePenaltyCase(const char* name, ScalePenaltyKind kind, bool per_output) {
  return {name, [kind, per_output](int64_t m, int64_t n) {
            const int64_t scales = per_output ? m : 1;
            return GradientCase{.operands = {{.shape = {m, 2, n}, .kinks = {0}}, {.shape = {scales}}},
                                .op = [kind](Vars v) { return ScalePenalty(v[0], v[1], kind); },
                                .value =
                                    [=](const Doubles& v) {
                                      Array sum(1, 0);
                                      for (size_t i = 0; i < v[0].size(); ++i) {
                                        const double alpha = v[1][per_output ? i / (2 * n) : 0];
                                        const double distance = alpha - std::fabs(v[0][i]);
                                        sum[0] +=
                                            kind == ScalePenaltyKind::kR1 ? std::fabs(distance) : distance * distance;
                                      }
                                      return sum;
                                    },
                                .roundings = 4};
          }};
}

// ---- Batch norm ---------------------------------------------------------------------------------------

constexpr float kEpsilon = 0.01f;

struct Column {
  double mean = 0, variance = 0, inv_std = 0;
};

Column StatisticsOf(const Array& x, int64_t m, int64_t n, int64_t j, EpsilonPlacement placement) {
  Column c;
  for (int64_t i = 0; i < m; ++i) c.mean += x[i * n + j] / static_cast<double>(m);
  for (int64_t i = 0; i < m; ++i) {
    c.variance += std::pow(x[i * n + j] - c.mean, 2) / static_cast<double>(m);
  }
  c.inv_std = placement == EpsilonPlacement::kInsideRoot ? 1 / std::sqrt(c.variance + double{kEpsilon})
                                                         : 1 / (std::sqrt(c.variance) + double{kEpsilon});
  return c;
}

OpCase BatchNormCase(const char* name, EpsilonPlacement placement) {
  return {name, [=](int64_t m, int64_t n) {
            // Signs alternate over the batch: the standard deviation is never small.
            const auto draw = [n](TestRandom& random, int64_t i) {
              return (i / n % 2 == 0 ? 1.0f : -1.0f) * random.Uniform(0.5f, 2);
            };
            return GradientCase{
                .operands = {{.shape = {m, n}, .draw = draw}, {.shape = {n}}, {.shape = {n}}},
                .op =
                    [=](Vars v) {
                      static Parameter running_mean, running_variance;
                      ExecContext& context = v[0].tape()->context();
                      running_mean = MakeParameter("mean", ToDevice(context, Filled({n}, 0)));
                      running_variance = MakeParameter("variance", ToDevice(context, Filled({n}, 1)));
                      return ApplyBatchNorm(v[0], v[1], v[2], running_mean, running_variance,
                                            {.epsilon = kEpsilon, .placement = placement});
                    },
                .value =
                    [=](const Doubles& v) {
                      Array y(m * n);
                      for (int64_t j = 0; j < n; ++j) {
                        const Column c = StatisticsOf(v[0], m, n, j, placement);
                        for (int64_t i = 0; i < m; ++i) {
                          y[i * n + j] = (v[0][i * n + j] - c.mean) * c.inv_std * v[1][j] + v[2][j];
                        }
                      }
                      return y;
                    },
                .roundings = 32,
                // Terms of dx: dy, its mean, and xhat times the mean of dy xhat; with two examples they all but cancel.
                .magnitude =
                    [=](const Doubles& v, int k, const Array& r) {
                      Array size(k == 0 ? m * n : n, 0);
                      for (int64_t j = 0; j < n; ++j) {
                        const Column c = StatisticsOf(v[0], m, n, j, placement);
                        double sum = 0, product = 0;
                        const auto xhat = [&](int64_t i) { return (v[0][i * n + j] - c.mean) * c.inv_std; };
                        for (int64_t i = 0; i < m; ++i) {
                          sum += std::fabs(r[i * n + j]);
                          product += std::fabs(r[i * n + j] * xhat(i));
                        }
                        if (k > 0) {
                          size[j] = k == 1 ? product : sum;
                          continue;
                        }
                        for (int64_t i = 0; i < m; ++i) {
                          size[i * n + j] = std::fabs(v[1][j]) * c.inv_std *
                                            (std::fabs(r[i * n + j]) + (sum + std::fabs(xhat(i)) * product) / m);
                        }
                      }
                      return size;
                    }};
          }};
}

// ---- Losses -------------------------------------------------------------------------------------------

int32_t LabelOf(int64_t i, int64_t classes) { return static_cast<int32_t>((i * 5 + 1) % classes); }

Tensor LabelsFor(int64_t m, int64_t n) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < m; ++i) labels.push_back(LabelOf(i, n));
  return Labels(labels);
}

Array SoftmaxOf(const Array& logits, int64_t i, int64_t n) {
  Array p;
  double total = 0;
  for (int64_t j = 0; j < n; ++j) total += std::exp(logits[i * n + j]);
  for (int64_t j = 0; j < n; ++j) p.push_back(std::exp(logits[i * n + j]) / total);
  return p;
}

OpCase SoftmaxCrossEntropyCase() {
  return {"softmax_cross_entropy", [](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, n}}},
                                .op = [=](Vars v) { return SoftmaxCrossEntropy(v[0], LabelsFor(m, n)); },
                                .value =
                                    [=](const Doubles& v) {
                                      double loss = 0;
                                      for (int64_t i = 0; i < m; ++i) {
                                        loss -= std::log(SoftmaxOf(v[0], i, n)[LabelOf(i, n)]);
                                      }
                                      return Array{loss / static_cast<double>(m)};
                                    },
                                .roundings = 16,
                                .magnitude =
                                    [=](const Doubles& v, int, const Array& r) {
                                      Array size;
                                      for (int64_t i = 0; i < m; ++i) {
                                        const Array p = SoftmaxOf(v[0], i, n);
                                        for (int64_t j = 0; j < n; ++j) {
                                          size.push_back(std::fabs(r[0]) * (p[j] + (j == LabelOf(i, n))) / m);
                                        }
                                      }
                                      return size;
                                    }};
          }};
}

OpCase SquaredHingeCase(const char* name, HingeReduction reduction) {
  return {name, [=](int64_t m, int64_t n) {
            return GradientCase{// The second derivative jumps where t y = 1.
                                .operands = {{.shape = {m, n}, .kinks = {-1, 1}}},
                                .op = [=](Vars v) { return SquaredHinge(v[0], LabelsFor(m, n), reduction); },
                                .value =
                                    [=](const Doubles& v) {
                                      double loss = 0;
                                      for (int64_t i = 0; i < m; ++i) {
                                        for (int64_t j = 0; j < n; ++j) {
                                          const double t = j == LabelOf(i, n) ? 1 : -1;
                                          loss += std::pow(std::max(0.0, 1 - t * v[0][i * n + j]), 2);
                                        }
                                      }
                                      return Array{reduction == HingeReduction::kMeanOverBatchAndClasses
                                                       ? loss / static_cast<double>(m * n)
                                                       : loss / static_cast<double>(m)};
                                    },
                                .roundings = 8};
          }};
}

OpCase MeanSquaredErrorCase() {
  return {"mean_squared_error", [](int64_t m, int64_t n) {
            const auto target = [](size_t i) { return 0.25 * static_cast<double>(i % 7) - 0.5; };
            return GradientCase{.operands = {{.shape = {m, n}}},
                                .op =
                                    [=](Vars v) {
                                      std::vector<float> values;
                                      for (int64_t i = 0; i < m * n; ++i) {
                                        values.push_back(static_cast<float>(target(i)));
                                      }
                                      return MeanSquaredError(v[0], Floats({m, n}, values));
                                    },
                                .value =
                                    [=](const Doubles& v) {
                                      double sum = 0;
                                      for (size_t i = 0; i < v[0].size(); ++i) sum += std::pow(v[0][i] - target(i), 2);
                                      return Array{sum / static_cast<double>(m * n)};
                                    },
                                .roundings = 8};
          }};
}

// ---- The suite ----------------------------------------------------------------------------------------

std::vector<OpCase> AllCases() {
  const auto add = [](double a, double b) { return a + b; };
  const auto sub = [](double a, double b) { return a - b; };
  const auto mul = [](double a, double b) { return a * b; };
  return {
      Pointwise(
          "relu", Relu, [](double x) { return x > 0 ? x : 0; }, {0}, 2),
      Pointwise(
          "leaky_relu", [](const Var& x) { return LeakyRelu(x, kSlope); },
          [](double x) { return x > 0 ? x : kSlope * x; }, {0}, 2),
      Pointwise(
          "hardtanh", Hardtanh, [](double x) { return std::clamp(x, -1.0, 1.0); }, {-1, 1}, 2),
      Pointwise(
          "sigmoid", Sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, {}, 32),
      // At |x| = 2, 1 - y^2 is 0.07: it enlarges the error of y by 26.
      Pointwise(
          "tanh", Tanh, [](double x) { return std::tanh(x); }, {}, 64),
      DropoutCase(),
      TwoOperands("add", false, Add, add),
      TwoOperands("sub", false, Sub, sub),
      TwoOperands("mul", false, Mul, mul),
      TwoOperands("add_broadcast", true, Add, add),
      TwoOperands("sub_broadcast", true, Sub, sub),
      TwoOperands("mul_broadcast", true, Mul, mul),
      LinearCase("linear", 6, false),
      LinearCase("linear_to_one", 1, false),
      LinearCase("linear_with_bias", 5, true),
      LinearOfImages(),
      MatMulCase(),
      Copying(
          "reshape",
          [](int64_t m, int64_t n) {
            return Shape({m, n});
          },
          [](const Var& x) {
            return Reshape(x, {x.shape().dim(1), -1});
          }),
      Copying(
          "flatten",
          [](int64_t m, int64_t n) {
            return Shape({m, n, 2});
          },
          Flatten),
      ConcatCase("concat_2",
                 [](int64_t n) {
                   return std::vector<int64_t>{n, n + 1};
                 }),
      ConcatCase("concat_3",
                 [](int64_t n) {
                   return std::vector<int64_t>{2, n, 1};
                 }),
      SumCase(
          "sum", [](const Var& x) { return Sum(x); }, false),
      SumCase("mean", Mean, true),
      MulPerChannelCase(),
      ScalePenaltyCase("scale_penalty_r2", ScalePenaltyKind::kR2, false),
      ScalePenaltyCase("scale_penalty_r2_per_output", ScalePenaltyKind::kR2, true),
      BatchNormCase("batch_norm_inside_root", EpsilonPlacement::kInsideRoot),
      BatchNormCase("batch_norm_outside_root", EpsilonPlacement::kOutsideRoot),
      SoftmaxCrossEntropyCase(),
      SquaredHingeCase("squared_hinge_mean", HingeReduction::kMeanOverBatchAndClasses),
      SquaredHingeCase("squared_hinge_sum", HingeReduction::kSumOverClassesMeanOverBatch),
      MeanSquaredErrorCase(),
  };
}

class OpGradientsTest : public OnTestDevice<testing::TestWithParam<OpCase>> {};

TEST_P(OpGradientsTest, AgreeWithDoublePrecision) {
  constexpr int64_t kShapes[][2] = {{1, 1}, {1, 7}, {3, 5}, {2, 65}, {33, 17}};
  uint64_t seed = 1;
  for (const auto& [m, n] : kShapes) {
    SCOPED_TRACE(Shape({m, n}).ToString());
    GradientCase c = GetParam().make(m, n);
    c.name = GetParam().name;
    CheckGradients(c, seed++);
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpGradientsTest, testing::ValuesIn(AllCases()),
                         [](const testing::TestParamInfo<OpCase>& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace bitgrad
