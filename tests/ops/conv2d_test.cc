// Convolution: values and gradients against the definition, with every kind of operand, border and group; and user
// errors.

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/testing/gradient_check.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr int64_t kBatch = 2;

struct Case {
  int64_t height, width, channels, filters;
  Extent2d kernel;
  ConvOptions options;

  Shape x() const { return {kBatch, height, width, channels}; }
  Shape w() const { return {filters, kernel.height, kernel.width, channels / options.groups}; }
  std::string ToString() const {
    return absl::StrCat(x().ToString(), " ", w().ToString(), " stride ", options.stride.height, ",",
                        options.stride.width, " pad ", options.pad.height, ",", options.pad.width, " dilation ",
                        options.dilation.height, " groups ", options.groups, " padding ",
                        static_cast<int>(options.padding));
  }
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const Padding padding : {Padding::kZero, Padding::kPlusOne, Padding::kMinusOne}) {
    cases.push_back({5, 4, 3, 2, 3, {.pad = 1, .padding = padding}});
    cases.push_back({7, 6, 2, 5, {3, 2}, {.stride = {2, 1}, .pad = {2, 1}, .padding = padding}});
    cases.push_back({6, 7, 65, 3, {1, 3}, {.stride = 2, .pad = {0, 1}, .padding = padding}});
    cases.push_back({7, 7, 4, 6, 3, {.pad = 2, .dilation = 2, .groups = 2, .padding = padding}});
  }
  cases.push_back({4, 4, 3, 2, 1, {}});
  cases.push_back({5, 5, 6, 6, 3, {.pad = 1, .groups = 6}});  // depthwise
  cases.push_back({3, 3, 64, 65, 3, {}});                     // one pixel
  cases.push_back({4, 5, 64, 4, 3, {.pad = 1, .groups = 2}});
  return cases;
}

// The definition, in double.
std::vector<double> Definition(const Case& c, const std::vector<double>& x, const std::vector<double>& w) {
  const ConvOptions& o = c.options;
  const int64_t P = (c.height + 2 * o.pad.height - o.dilation.height * (c.kernel.height - 1) - 1) / o.stride.height + 1;
  const int64_t Q = (c.width + 2 * o.pad.width - o.dilation.width * (c.kernel.width - 1) - 1) / o.stride.width + 1;
  const double border = o.padding == Padding::kZero ? 0 : o.padding == Padding::kPlusOne ? 1 : -1;
  const int64_t in = c.channels / o.groups, out = c.filters / o.groups;
  std::vector<double> y;
  for (int64_t n = 0; n < kBatch; ++n) {
    for (int64_t p = 0; p < P; ++p) {
      for (int64_t q = 0; q < Q; ++q) {
        for (int64_t f = 0; f < c.filters; ++f) {
          double sum = 0;
          for (int64_t r = 0; r < c.kernel.height; ++r) {
            for (int64_t s = 0; s < c.kernel.width; ++s) {
              const int64_t h = p * o.stride.height + r * o.dilation.height - o.pad.height;
              const int64_t v = q * o.stride.width + s * o.dilation.width - o.pad.width;
              const bool inside = h >= 0 && h < c.height && v >= 0 && v < c.width;
              for (int64_t k = 0; k < in; ++k) {
                const double value =
                    inside ? x[((n * c.height + h) * c.width + v) * c.channels + f / out * in + k] : border;
                sum += value * w[((f * c.kernel.height + r) * c.kernel.width + s) * in + k];
              }
            }
          }
          y.push_back(sum);
        }
      }
    }
  }
  return y;
}

using ConvolutionOnDeviceTest = OnTestDevice<testing::Test>;

TEST_F(ConvolutionOnDeviceTest, GradientsOfFloats) {
  uint64_t seed = 1;
  for (const Case& c : Cases()) {
    if (c.channels > 6) continue;  // Central differences take a run per element.
    SCOPED_TRACE(c.ToString());
    CheckGradients({.name = "conv2d",
                    .operands = {{.shape = c.x()}, {.shape = c.w()}},
                    .op = [&](absl::Span<const Var> v) { return Convolution(v[0], v[1], c.options); },
                    .value = [&](const Doubles& v) { return Definition(c, v[0], v[1]); },
                    .roundings = static_cast<double>(8 + c.w().num_elements() + c.x().num_elements())},
                   seed++);
  }
}

struct Result {
  Tensor y, dx, dw;
};

// y and the gradients of sum(y * r).
Result Compute(const std::function<Var(const Var&, const Var&)>& op, const Tensor& x, const Tensor& w, uint64_t seed) {
  ExecContext context({.device = TestDevice(), .threads = 1 + static_cast<int>(seed % 2), .seed = 3});
  Tape tape(context);
  const Var vx = tape.Differentiable(ToDevice(context, x)), vw = tape.Differentiable(ToDevice(context, w));
  const Var y = op(vx, vw);
  TestRandom random(seed);
  const Var loss = Sum(Mul(y, tape.Input(ToDevice(context, random.UniformTensor(y.shape())))));
  EXPECT_TRUE(tape.status().ok()) << tape.status();
  Result result;
  result.y = ToHost(context, **tape.Value(y)).Clone();
  EXPECT_TRUE(tape.Backward(loss).ok()) << tape.status();
  result.dx = ToHost(context, **tape.Gradient(vx)).Clone();
  result.dw = ToHost(context, **tape.Gradient(vw)).Clone();
  return result;
}

void ExpectNear(const Tensor& a, const Tensor& b, double terms) {
  ASSERT_EQ(a.shape(), b.shape());
  const std::vector<float> x = ValuesOf(a), y = ValuesOf(b);
  for (size_t i = 0; i < x.size(); ++i) {
    // The terms are at most 4, as inputs and weights are below 2.
    ASSERT_NEAR(x[i], y[i], terms * 4 * kRounding * terms) << "element " << i;
  }
}

// A quantized convolution is the convolution of the quantized operands, forward and backward: the quantize op has the
// surrogates, and the latent weight of a pass-through quantizer gets the quantized weight's gradient.
TEST_F(ConvolutionOnDeviceTest, QuantizedIsConvolutionOfQuantized) {
  const char* const inputs[] = {"sign", "k_bit(2)", "k_bit(8)", "ternary(0.5)", "identity", "swish_sign(5)"};
  const char* const weights[] = {"sign", "ternary(0.5)", "k_bit(3)", "identity"};
  uint64_t seed = 1;
  for (const Case& c : Cases()) {
    for (const char* input_name : inputs) {
      for (const char* weight_name : weights) {
        SCOPED_TRACE(absl::StrCat(c.ToString(), " ", input_name, " ", weight_name));
        const Quantizer input = *ParseQuantizer(input_name), weight = *ParseQuantizer(weight_name);
        TestRandom random(++seed);
        const Tensor x = random.UniformTensor(c.x()), w = random.UniformTensor(c.w());
        const Result packed = Compute(
            [&](const Var& vx, const Var& vw) {
              return QuantizedConvolution(vx, vw, c.options, {.input = input, .weight = weight});
            },
            x, w, seed);
        ExecContext context({.threads = 1});
        Tape tape(context);
        const Tensor quantized = (*tape.Value(Quantize(tape.Input(w), weight)))->Clone();
        const Result simulated =
            Compute([&](const Var& vx, const Var& vw) { return Convolution(Quantize(vx, input), vw, c.options); }, x,
                    quantized, seed);
        const double terms = static_cast<double>(c.w().num_elements() + c.x().num_elements());
        ExpectNear(packed.y, simulated.y, std::sqrt(terms) * 8);
        ExpectNear(packed.dx, simulated.dx, std::sqrt(terms) * 8);
        ExpectNear(packed.dw, simulated.dw, std::sqrt(terms) * 8);
        if (HasFatalFailure()) return;
        if (std::string(input_name) != "sign" || std::string(weight_name) != "sign") continue;
        // Sums of +-1 are integers: exact, whatever computes them.
        std::vector<double> signs_x, signs_w;
        for (const float value : ValuesOf(x)) signs_x.push_back(value >= 0 ? 1 : -1);
        for (const float value : ValuesOf(w)) signs_w.push_back(value >= 0 ? 1 : -1);
        const std::vector<double> expected = Definition(c, signs_x, signs_w);
        const std::vector<float> actual = ValuesOf(packed.y);
        for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(actual[i], expected[i]) << "element " << i;
      }
    }
  }
}

// After batch norm the signs are made from batch norm's input, for lines of an image at a time or for whole images.
TEST(ConvolutionTest, SignsBehindBatchNorm) {
  for (const Shape& shape : {Shape({3, 4, 8, 64}), Shape({3, 5, 7, 3}), Shape({2, 2, 2, 33})}) {
    SCOPED_TRACE(shape.ToString());
    TestRandom random(7);
    const Tensor x = random.UniformTensor(shape);
    const int64_t n = shape.dim(3);
    const Tensor w = random.UniformTensor({5, 3, 3, n});
    const auto run = [&](bool read_first) {
      ExecContext context({.threads = 2});
      Parameter gamma = MakeParameter("gamma", random.UniformTensor({n}, -1, 1)),
                beta = MakeParameter("beta", Filled({n}, 0.1f));
      gamma.value = Filled({n}, -0.5f);
      Parameter mean = MakeParameter("mean", Filled({n}, 0)), variance = MakeParameter("variance", Filled({n}, 1));
      Tape tape(context);
      const Var vx = tape.Differentiable(x);
      const Var normed = ApplyBatchNorm(vx, tape.Use(gamma), tape.Use(beta), mean, variance);
      if (read_first) {
        EXPECT_TRUE(tape.Value(normed).ok());
      }
      const Var y = QuantizedConvolution(normed, tape.Input(w), {.pad = 1}, {.input = Sign(), .weight = Sign()});
      Result result;
      result.y = (*tape.Value(y))->Clone();
      EXPECT_TRUE(tape.Backward(Sum(Mul(y, y))).ok());
      result.dx = (*tape.Gradient(vx))->Clone();
      return result;
    };
    const Result straight = run(false), through_floats = run(true);
    ExpectSameBits(straight.y, through_floats.y);
    ExpectSameBits(straight.dx, through_floats.dx);
  }
}

TEST(ConvolutionTest, GradientQuantizerHasAScalePerExample) {
  const Case c = {4, 4, 3, 2, 3, {.pad = 1}};
  TestRandom random(5);
  const Tensor x = random.UniformTensor(c.x()), w = random.UniformTensor(c.w());
  const auto quantizer = *ParseQuantizer("dorefa_gradient(6)");
  const Result exact = Compute([&](const Var& vx, const Var& vw) { return Convolution(vx, vw, c.options); }, x, w, 9);
  const Result rounded = Compute(
      [&](const Var& vx, const Var& vw) { return Convolution(vx, vw, c.options, {.gradient = quantizer}); }, x, w, 9);
  ExpectSameBits(exact.y, rounded.y);
  double difference = 0, size = 0;
  for (int64_t i = 0; i < exact.dx.num_elements(); ++i) {
    difference += std::fabs(exact.dx.data<float>()[i] - rounded.dx.data<float>()[i]);
    size += std::fabs(exact.dx.data<float>()[i]);
  }
  EXPECT_GT(difference, 0);
  EXPECT_LT(difference, 0.1 * size);
}

class ConvolutionMisuseTest : public testing::Test {
 protected:
  std::string Error(const Shape& x, const Shape& w, const ConvOptions& options = {},
                    const ProductQuantizers& quantizers = {}) {
    ExecContext context({.threads = 1});
    Tape tape(context);
    Tape::LayerScope layer(tape, "conv");
    const Var y = QuantizedConvolution(tape.Input(Tensor::Zeros(x)), tape.Input(Tensor::Zeros(w)), options, quantizers);
    EXPECT_EQ(y.shape(), Shape({0}));
    return std::string(tape.status().message());
  }
};

TEST_F(ConvolutionMisuseTest, Messages) {
  EXPECT_EQ(
      Error({2, 4, 4, 3}, {8, 3, 3, 4}),
      "layer 'conv': conv2d: input [2, 4, 4, 3] and weight [8, 3, 3, 4] in 1 groups do not match; they have to be "
      "[batch, height, width, channels] and [filters, height, width, channels / groups]");
  EXPECT_EQ(Error({2, 48}, {8, 3, 3, 3}).substr(0, 43), "layer 'conv': conv2d: input [2, 48] and wei");
  EXPECT_EQ(Error({2, 4, 4, 4}, {3, 3, 3, 2}, {.groups = 2}),
            "layer 'conv': conv2d: 2 groups do not divide 4 channels and 3 filters");
  EXPECT_EQ(Error({2, 4, 4, 3}, {4, 3, 3, 1}, {.groups = 2}),
            "layer 'conv': conv2d: 2 groups do not divide 3 channels and 4 filters");
  EXPECT_EQ(Error({2, 2, 4, 3}, {8, 3, 3, 3}),
            "layer 'conv': conv2d: the kernel spans [3, 3], more than the padded image [2, 4]");
  for (const auto& [x, w] : {std::pair<Shape, Shape>{{0, 4, 4, 3}, {8, 3, 3, 3}},
                             {{2, 0, 4, 3}, {8, 3, 3, 3}},
                             {{2, 4, 4, 0}, {8, 3, 3, 0}},
                             {{2, 4, 4, 3}, {0, 3, 3, 3}}}) {
    EXPECT_EQ(Error(x, w, {.pad = 2}),
              absl::StrCat("layer 'conv': conv2d: images ", x.ToString(), " or ", w.dim(0), " filters are empty"));
  }
  EXPECT_EQ(Error({2, 4, 4, 3}, {8, 0, 3, 3}), "layer 'conv': conv2d: kernel_height: 0 is not in [1, 524288]");
  const struct {
    ConvOptions options;
    const char* error;
  } fields[] = {{{.stride = {0, 1}}, "stride_height: 0 is not in [1, 524288]"},
                {{.stride = {1, 1 << 20}}, "stride_width: 1048576 is not in [1, 524288]"},
                {{.pad = {1, -1}}, "pad_width: -1 is not in [0, 524288]"},
                {{.dilation = {-1, 1}}, "dilation_height: -1 is not in [1, 524288]"},
                {{.groups = 0}, "groups: 0 is not in [1, 524288]"}};
  for (const auto& field : fields) {
    EXPECT_EQ(Error({2, 4, 4, 3}, {8, 3, 3, 3}, field.options), absl::StrCat("layer 'conv': conv2d: ", field.error));
  }
  EXPECT_EQ(Error({2, 4, 4, 3}, {8, 3, 3, 3}, {.pad = 3}),
            "layer 'conv': conv2d: pad [3, 3] has to be smaller than what the kernel spans, [3, 3]");
  EXPECT_EQ(Error({1, 4, 4, 3}, {1, 1 << 10, 1 << 10, 3}, {.pad = 1 << 10}).substr(0, 60),
            "layer 'conv': conv2d: pad [1024, 1024] has to be smaller tha");
  EXPECT_EQ(Error({1, 2, 2, 1}, {1, 1500, 1500, 1}, {.pad = 1499}),
            "layer 'conv': conv2d: a kernel of [1500, 1500] with pad [1499, 1499] and 1 filters has 2^24 sums at the "
            "border or "
            "more");
  EXPECT_EQ(Error({1, 9, 9, 1}, {1, 3, 3, 1}, {.stride = 1 << 10, .pad = 1 << 14, .dilation = 1 << 14}),
            "layer 'conv': conv2d: an image with its border has 2^24 elements or more");
  EXPECT_EQ(Error({2, 4, 4, 3}, {8, 3, 3, 3}, {.pad = 1, .padding = Padding::kPlusOne},
                  {.input = *ParseQuantizer("dorefa_weight(1)"), .weight = Sign()}),
            "layer 'conv': conv2d: a border of +1 needs an input whose scale is fixed; pad with zero");
}

TEST_F(ConvolutionMisuseTest, Int8Gradients) {
  EXPECT_EQ(
      Error({2, 4, 4, 3}, {8, 3, 3, 3}, {},
            {.input = Sign(), .weight = Sign(), .gradient = *ParseQuantizer("stochastic_round(8)")}),
      "layer 'conv': conv2d: gradient quantizer 'stochastic_round(8)' makes products of int8, which are for linear "
      "layers only; use dorefa_gradient here");
}

}  // namespace
}  // namespace bitgrad
