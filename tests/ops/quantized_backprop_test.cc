// Products whose input is quantized for the weight's gradient alone (quantized backpropagation, arXiv 1510.03009).

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bitgrad/core/rng.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantizers/exponential_round.h"
#include "bitgrad/ops/quantizers/log_quant.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/ops/linear_testing.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using QuantizedBackpropTest = OnTestDevice<testing::Test>;

// A product, with the shapes to try it on.
struct Product {
  std::string name;
  Shape x, w;
  QuantizedRows rows;
  std::function<Var(const Var& x, const Var& w, const ProductOptions& options)> op;
};

std::vector<Product> Products() {
  const auto conv = [](Padding padding) {
    return [padding](const Var& x, const Var& w, const ProductOptions& options) {
      return Convolution(x, w, {.stride = 2, .pad = 1, .padding = padding}, options);
    };
  };
  return {{"linear",
           {7, 33},
           {5, 33},
           QuantizedRows::kLastDimension,
           [](const Var& x, const Var& w, const ProductOptions& options) { return Linear(x, w, options); }},
          {"conv2d", {3, 6, 5, 4}, {2, 3, 3, 4}, QuantizedRows::kByRank, conv(Padding::kZero)},
          {"conv2d, +1", {3, 6, 5, 4}, {2, 3, 3, 4}, QuantizedRows::kByRank, conv(Padding::kPlusOne)},
          {"conv2d, -1", {3, 6, 5, 4}, {2, 3, 3, 4}, QuantizedRows::kByRank, conv(Padding::kMinusOne)}};
}

// y and the gradients of sum(y r), with the input quantized by `input` in the forward pass.
Outcome RunProduct(const Product& product, const Quantizer& input, const ProductOptions& options, const Tensor& x,
                   const Tensor& w) {
  ExecContext context({.device = TestDevice(), .threads = 1, .seed = kSeed, .backward = BackwardPrecision::kFloat32});
  Tape tape(context);
  const Var vx = tape.Differentiable(ToDevice(context, x)), vw = tape.Differentiable(ToDevice(context, w));
  const Var y = product.op(Quantize(vx, input, {.rows = product.rows}), vw, options);
  TestRandom random(2);
  const Var r = tape.Input(ToDevice(context, random.UniformTensor(y.shape())));
  const absl::Status status = tape.Backward(Sum(Mul(y, r)));
  EXPECT_TRUE(status.ok()) << status;
  if (!status.ok()) return {};
  const auto on_host = [&](const absl::StatusOr<const Tensor*>& tensor) { return ToHost(context, **tensor).Clone(); };
  return {on_host(tape.Value(y)), on_host(tape.Gradient(vx)), on_host(tape.Gradient(vw)), {}};
}

// Values at which a rounding in float changes nothing: with `on_grid` those of k_bit(2), which are no powers of two.
Tensor DrawInput(const Shape& shape, const Quantizer& q, uint32_t stream, bool on_grid) {
  TestRandom random(7);
  Tensor x = random.UniformTensor(shape);
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    float& value = x.mutable_data<float>()[i];
    if (on_grid) {
      value = std::copysign(std::fabs(value) < 1 ? 1.0f / 3 : 1.0f, value);
      continue;
    }
    if (i % 5 == 0) value = 0;
    const double u = Uniform(StreamOf(stream), i);
    while (value != 0 && reference::DistanceToJump(q, value, 0.0, u) < 1e-5) value *= 0.99f;
  }
  return x;
}

// Forward pass and dx see the real input, or its codes; dw sees the quantized values, and the border as it is.
TEST_F(QuantizedBackpropTest, OnlyTheWeightsGradientSeesTheQuantizedInput) {
  for (const Product& product : Products()) {
    for (const Quantizer& q : {ExponentialRound(), ExponentialRound({.least = -1, .most = 0})}) {
      for (const char* input : {"identity", "k_bit(2)"}) {
        SCOPED_TRACE(product.name + ", " + q.ToString() + ", " + input);
        // The first streams are those of the quantizer in front of the product and of its gradient's.
        constexpr uint32_t kStream = 2;
        const Tensor x = DrawInput(product.x, q, kStream, /*on_grid=*/input == std::string("k_bit(2)"));
        TestRandom random(8);
        const Tensor w = random.UniformTensor(product.w);
        std::vector<float> quantized(x.num_elements());
        for (size_t i = 0; i < quantized.size(); ++i) {
          const double u = Uniform(StreamOf(kStream), i);
          quantized[i] = static_cast<float>(reference::Value(q, x.data<float>()[i], 0.0, u));
        }
        const Outcome exact = RunProduct(product, Make(input), {}, x, w);
        const Outcome few = RunProduct(product, Make(input), {.input_for_weight_gradient = q}, x, w);
        ExpectSameBits(few.y, exact.y);
        ExpectSameBits(few.dx, exact.dx);
        ExpectSameBits(few.dw, RunProduct(product, {}, {}, Floats(product.x, quantized), w).dw);
        EXPECT_NE(ValuesOf(few.dw), ValuesOf(exact.dw));
      }
    }
  }
}

// A value that is a power of two stays what it is, whether the input is real or was quantized for the product.
TEST_F(QuantizedBackpropTest, PowersOfTwoStay) {
  for (const Product& product : Products()) {
    TestRandom random(9);
    std::vector<float> powers(product.x.num_elements());
    for (float& value : powers) {
      value = std::ldexp(1.0f, static_cast<int>(random.Below(9)) - 4) * (random.Below(2) == 0 ? -1.0f : 1.0f);
    }
    const Tensor x = Floats(product.x, powers), w = random.UniformTensor(product.w);
    for (const char* input : {"identity", "sign", "ternary(0.5)", "log_quant(4)"}) {
      SCOPED_TRACE(product.name + ", " + input);
      const Outcome exact = RunProduct(product, Make(input), {}, x, w);
      const Outcome few = RunProduct(product, Make(input), {.input_for_weight_gradient = ExponentialRound()}, x, w);
      ExpectSameBits(few.y, exact.y);
      ExpectSameBits(few.dx, exact.dx);
      ASSERT_EQ(few.dw.shape(), exact.dw.shape());
      for (int64_t i = 0; i < exact.dw.num_elements(); ++i) {
        ASSERT_NEAR(few.dw.data<float>()[i], exact.dw.data<float>()[i], 1e-3) << i;
      }
    }
  }
}

TEST_F(QuantizedBackpropTest, RefusesWhatCannotQuantizeThere) {
  for (const Product& product : Products()) {
    ExecContext context({.device = TestDevice(), .threads = 1});
    TestRandom random(1);
    const auto error = [&](const ProductOptions& options) {
      Tape failing(context);
      product.op(failing.Input(ToDevice(context, random.UniformTensor(product.x))),
                 failing.Differentiable(ToDevice(context, random.UniformTensor(product.w))), options);
      return failing.status().ToString();
    };
    EXPECT_THAT(error({.input_for_weight_gradient = LogQuant(9)}), testing::HasSubstr("log_quant(9)"));
    EXPECT_THAT(error({.input_for_weight_gradient = Make("lsq(4)")}), testing::HasSubstr("learns a number"));
    EXPECT_THAT(error({.gradient = Make("sign(scale=learned)")}), testing::HasSubstr("learns a number"));
    EXPECT_THAT(error({.gradient = Sign().WithGlorotScale()}), testing::HasSubstr("for the weights of layers"));
  }
}

}  // namespace
}  // namespace bitgrad
