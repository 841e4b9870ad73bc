#include "bitgrad/ops/dropout.h"

#include <utility>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var ApplyDropout(const Var& x, float keep) {
  OpRecorder op("dropout", {x});
  if (!op.ok()) return op.Failed();
  if (!(keep > 0.0f) || keep > 1.0f) {
    return op.Fail("keep is ", keep, "; it has to be in (0, 1]");
  }
  if (!op.training() || keep == 1.0f) return x;
  const RngStream rng = op.tape().NextRandomStream(RngPurpose::kDropout);
  Tensor y = op.NewTensor(x.shape());
  op.kernels().dropout(op.context(), keep, rng, op.value(0).data<float>(), y.mutable_data<float>(), y.num_elements());
  op.tape().Count({.float_multiplications = y.num_elements()});
  return op.Record(std::move(y), {}, [keep, rng](Tape::GradientSink& sink) {
    const Tensor& dy = sink.output_gradient();
    Tensor dx = NewTensor(sink, dy.shape());
    KernelsOf(sink).dropout(sink.context(), keep, rng, dy.data<float>(), dx.mutable_data<float>(), dy.num_elements());
    sink.Count({.float_multiplications = dy.num_elements()});
    sink.Add(0, std::move(dx));
  });
}

}  // namespace bitgrad
