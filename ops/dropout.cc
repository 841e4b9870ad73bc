#include "bitgrad/ops/dropout.h"

#include <utility>

#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var ApplyDropout(const Var& x, float keep, DropoutScaling scaling) {
  OpRecorder op("dropout", {x});
  if (!op.ok()) return op.Failed();
  if (!(keep > 0.0f) || keep > 1.0f) {
    return op.Fail("keep is ", keep, "; it has to be in (0, 1]");
  }
  if (keep == 1.0f) return x;
  if (!op.training() && scaling == DropoutScaling::kInTraining) return x;
  if (!op.training()) {
    if (x.shape().num_elements() == 0) return x;
    // One for each element of the last dimension; a number has one of its own shape.
    const int rank = x.shape().rank();
    Tensor factors = op.NewTensor(rank == 0 ? Shape() : Shape({x.shape().dim(rank - 1)}));
    op.kernels().fill_f32(op.context(), keep, factors.mutable_data<float>(), factors.num_elements());
    return Mul(x, op.tape().Input(factors));
  }
  const float divisor = scaling == DropoutScaling::kInTraining ? keep : 1.0f;
  const RngStream rng = op.tape().NextRandomStream(RngPurpose::kDropout);
  Tensor y = op.NewTensor(x.shape());
  op.kernels().dropout(op.context(), keep, divisor, rng, op.value(0).data<float>(), y.mutable_data<float>(),
                       y.num_elements());
  op.tape().Count({.float_multiplications = y.num_elements()});
  return op.Record(std::move(y), {}, [keep, divisor, rng](Tape::GradientSink& sink) {
    const Tensor& dy = sink.output_gradient();
    Tensor dx = NewTensor(sink, dy.shape());
    KernelsOf(sink).dropout(sink.context(), keep, divisor, rng, dy.data<float>(), dx.mutable_data<float>(),
                            dy.num_elements());
    sink.Count({.float_multiplications = dy.num_elements()});
    sink.Add(0, std::move(dx));
  });
}

}  // namespace bitgrad
