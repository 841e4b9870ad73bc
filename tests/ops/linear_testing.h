// What tests of linear ops with quantizers share: one step of a product, on the device of test_device.h.

#ifndef BITGRAD_TESTS_OPS_LINEAR_TESTING_H_
#define BITGRAD_TESTS_OPS_LINEAR_TESTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {

inline constexpr uint64_t kSeed = 5;

inline Quantizer Make(const std::string& text) { return ParseQuantizer(text).value(); }

// The random stream of an operand in the first step: 0 for x, 1 for w, 2 for the gradient.
inline RngStream StreamOf(uint32_t operand) {
  return {.seed = kSeed, .purpose = RngPurpose::kQuantizer, .step = 1, .stream = operand};
}
// The library's result for dy = r.
struct Outcome {
  Tensor y, dx, dw;
  std::vector<CounterValue> observations;
};

inline Outcome RunLinear(const ProductQuantizers& quantizers, const Tensor& x, const Tensor& w, const Tensor& r) {
  ExecContext context({.device = TestDevice(), .threads = 1, .seed = kSeed, .backward = BackwardPrecision::kFloat32});
  Tape tape(context);
  const Var vx = tape.Differentiable(ToDevice(context, x)), vw = tape.Differentiable(ToDevice(context, w));
  const Var y = QuantizedLinear(vx, vw, quantizers);
  const absl::Status status = tape.Backward(Sum(Mul(y, tape.Input(ToDevice(context, r)))));
  EXPECT_TRUE(status.ok()) << status;
  if (!status.ok()) return {};
  const auto on_host = [&](const absl::StatusOr<const Tensor*>& tensor) { return ToHost(context, **tensor).Clone(); };
  return {on_host(tape.Value(y)), on_host(tape.Gradient(vx)), on_host(tape.Gradient(vw)), tape.counters()};
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_LINEAR_TESTING_H_
