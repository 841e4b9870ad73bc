#include "bitgrad/ops/activations.h"

#include <cmath>
#include <utility>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {
namespace {

// ReLU and hardtanh choose, forward and backward. The exponentials of sigmoid and tanh are not counted; their
// derivatives are dy y (1 - y) and dy (1 - y^2).
ArithmeticCounts CountActivation(Unary kind, bool backward, int64_t elements) {
  switch (kind) {
    case Unary::kLeakyRelu: return {.float_multiplications = elements};
    case Unary::kSigmoid:
    case Unary::kTanh:
      if (!backward) return {};
      return {.float_multiplications = 2 * elements, .float_additions = elements};
    default: return {};
  }
}

Var Activation(const char* name, Unary kind, float parameter, const Var& x) {
  OpRecorder op(name, {x});
  if (!op.ok()) return op.Failed();
  if (!std::isfinite(parameter)) return op.Fail("slope ", parameter, " is not finite");
  const int64_t count = x.shape().num_elements();
  Tensor y = op.NewTensor(x.shape());
  op.kernels().unary_forward(op.context(), kind, parameter, op.value(0).data<float>(), y.mutable_data<float>(), count);

  op.tape().Count(CountActivation(kind, /*backward=*/false, count));

  // The gradients of sigmoid and tanh are functions of their outputs.
  const bool saves_output = kind == Unary::kSigmoid || kind == Unary::kTanh;
  Tensor saved = saves_output ? y.Alias() : op.value(0).Alias();
  return op.Record(std::move(y), {{"unary", static_cast<int64_t>(kind)}, {"parameter", double{parameter}}},
                   [kind, parameter, saved = std::move(saved)](Tape::GradientSink& sink) {
                     const Tensor& dy = sink.output_gradient();
                     Tensor dx = NewTensor(sink, dy.shape());
                     KernelsOf(sink).unary_backward(sink.context(), kind, parameter, saved.data<float>(),
                                                    dy.data<float>(), dx.mutable_data<float>(), dy.num_elements());
                     sink.Count(CountActivation(kind, /*backward=*/true, dy.num_elements()));
                     sink.Add(0, std::move(dx));
                   });
}

}  // namespace

Var Relu(const Var& x) { return Activation("relu", Unary::kRelu, 0, x); }
Var LeakyRelu(const Var& x, float slope) { return Activation("leaky_relu", Unary::kLeakyRelu, slope, x); }
Var Hardtanh(const Var& x) { return Activation("hardtanh", Unary::kHardtanh, 0, x); }
Var Sigmoid(const Var& x) { return Activation("sigmoid", Unary::kSigmoid, 0, x); }
Var Tanh(const Var& x) { return Activation("tanh", Unary::kTanh, 0, x); }

}  // namespace bitgrad
