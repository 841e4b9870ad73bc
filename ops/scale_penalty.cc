#include "bitgrad/ops/scale_penalty.h"

#include <utility>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var ScalePenalty(const Var& w, const Var& alpha, ScalePenaltyKind kind) {
  OpRecorder op("scale_penalty", {w, alpha});
  if (!op.ok()) return op.Failed();
  const Shape shape = w.shape(), scale_shape = alpha.shape();
  if (shape.rank() == 0 || shape.num_elements() == 0) {
    return op.Fail("weight ", shape.ToString(), " has to be [outputs, ..], not empty");
  }
  const int64_t outputs = shape.dim(0), count = shape.num_elements();
  if (scale_shape != Shape({1}) && scale_shape != Shape({outputs})) {
    return op.Fail("scale ", scale_shape.ToString(), " of weight ", shape.ToString(), " has to be [1] or [", outputs,
                   "]");
  }
  const int64_t stride = scale_shape.dim(0) == 1 ? 0 : 1;
  const Shape matrix({outputs, count / outputs});
  Tensor y = op.NewTensor({});
  op.kernels().scale_penalty_forward(op.context(), kind, op.value(0).Alias(matrix).matrix<float>(),
                                     op.value(1).data<float>(), stride, y.mutable_data<float>());
  op.tape().Count({.float_multiplications = kind == ScalePenaltyKind::kR2 ? count : 0, .float_additions = 2 * count});
  return op.Record(std::move(y), {},
                   [kind, shape, matrix, stride, w = op.value(0).Alias(matrix),
                    alpha = op.value(1).Alias()](Tape::GradientSink& sink) {
                     Tensor dw = NewTensor(sink, matrix);
                     Tensor dalpha = NewTensor(sink, alpha.shape());
                     KernelsOf(sink).scale_penalty_backward(sink.context(), kind, w.matrix<float>(),
                                                            alpha.data<float>(), stride,
                                                            sink.output_gradient().data<float>(),
                                                            dw.mutable_matrix<float>(), dalpha.mutable_data<float>());
                     sink.Count({.float_multiplications = w.num_elements(), .float_additions = 2 * w.num_elements()});
                     if (sink.wants(0)) sink.Add(0, dw.Alias(shape));
                     if (sink.wants(1)) sink.Add(1, std::move(dalpha));
                   });
}

}  // namespace bitgrad
