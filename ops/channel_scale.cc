#include "bitgrad/ops/channel_scale.h"

#include <utility>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var MeanAbs(const Var& w) {
  OpRecorder op("mean_abs", {w});
  if (!op.ok()) return op.Failed();
  const Shape shape = w.shape();
  if (shape.rank() == 0 || shape.num_elements() == 0) {
    return op.Fail("weight ", shape.ToString(), " has to be [outputs, ..], not empty");
  }
  const int64_t outputs = shape.dim(0), count = shape.num_elements() / outputs;
  Tensor alpha = op.NewTensor({outputs});
  op.kernels().mean_abs_rows(op.context(), {op.value(0).data<float>(), outputs, count}, alpha.mutable_data<float>());
  op.tape().Count({.float_multiplications = outputs, .float_additions = outputs * count});
  Tensor saved = op.wants(0) ? op.value(0).Alias() : Tensor();
  return op.Record(std::move(alpha), {}, [w = std::move(saved), outputs, count](Tape::GradientSink& sink) {
    Tensor dw = NewTensor(sink, w.shape());
    KernelsOf(sink).mean_abs_rows_backward(sink.context(), {w.data<float>(), outputs, count},
                                           sink.output_gradient().data<float>(),
                                           {dw.mutable_data<float>(), outputs, count});
    sink.Count({.float_multiplications = outputs});
    sink.Add(0, std::move(dw));
  });
}

}  // namespace bitgrad
