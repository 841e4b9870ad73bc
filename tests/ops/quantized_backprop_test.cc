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
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/ops/linear_testing.h"
#include "bitgrad/tests/reference/quantizers.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
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
  const ConvOptions padded = {.stride = 2, .pad = 1};
  return {{"linear",
           {7, 33},
           {5, 33},
           QuantizedRows::kLastDimension,
           [](const Var& x, const Var& w, const ProductOptions& options) { return Linear(x, w, options); }},
          {"conv2d",
           {3, 6, 5, 4},
           {2, 3, 3, 4},
           QuantizedRows::kByRank,
           [padded](const Var& x, const Var& w, const ProductOptions& options) {
             return Convolution(x, w, padded, options);
           }}};
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

// Values of the input quantizer at which a rounding in float changes nothing.
Tensor DrawInput(const Shape& shape, const Quantizer& q, uint32_t stream) {
  TestRandom random(7);
  Tensor x = random.UniformTensor(shape);
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    float& value = x.mutable_data<float>()[i];
    if (i % 5 == 0) value = 0;
    const double u = Uniform(StreamOf(stream), i);
    while (value != 0 && reference::DistanceToJump(q, value, 0.0, u) < 1e-5) value *= 0.99f;
  }
  return x;
}

// Forward pass and dx see the real input, dw the quantized one.
TEST_F(QuantizedBackpropTest, OnlyTheWeightsGradientSeesTheQuantizedInput) {
  for (const Product& product : Products()) {
    for (const Quantizer& q : {ExponentialRound(), ExponentialRound({.least = -1, .most = 0})}) {
      SCOPED_TRACE(product.name + ", " + q.ToString());
      // The first streams are those of the identity in front of the product and of its gradient's quantizer.
      constexpr uint32_t kStream = 2;
      const Tensor x = DrawInput(product.x, q, kStream);
      TestRandom random(8);
      const Tensor w = random.UniformTensor(product.w);
      std::vector<float> quantized(x.num_elements());
      for (size_t i = 0; i < quantized.size(); ++i) {
        quantized[i] = static_cast<float>(reference::Value(q, x.data<float>()[i], 0.0, Uniform(StreamOf(kStream), i)));
      }
      const Outcome exact = RunProduct(product, {}, {}, x, w);
      const Outcome few = RunProduct(product, {}, {.input_for_weight_gradient = q}, x, w);
      ExpectSameBits(few.y, exact.y);
      ExpectSameBits(few.dx, exact.dx);
      ExpectSameBits(few.dw, RunProduct(product, {}, {}, Floats(product.x, quantized), w).dw);
      EXPECT_NE(ValuesOf(few.dw), ValuesOf(exact.dw));
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

TEST_F(QuantizedBackpropTest, RefusesAQuantizerThatIsNone) {
  const Quantizer bad = Make("log_quant(4)");
  QuantizerArgs args = bad.args();
  args.bits = 9;
  for (const Product& product : Products()) {
    ExecContext context({.device = TestDevice(), .threads = 1});
    Tape tape(context);
    TestRandom random(1);
    const Var x = tape.Input(ToDevice(context, random.UniformTensor(product.x)));
    const Var w = tape.Differentiable(ToDevice(context, random.UniformTensor(product.w)));
    product.op(x, w, {.input_for_weight_gradient = Quantizer(&bad.info(), args)});
    EXPECT_NE(tape.status().ToString().find("log_quant(9)"), std::string::npos) << tape.status();
  }
}

}  // namespace
}  // namespace bitgrad
