#include "bitgrad/ops/stack.h"

#include <utility>
#include <vector>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var Stack(absl::Span<const Var> steps) {
  OpRecorder op("stack", steps);
  if (!op.ok()) return op.Failed();
  const Shape shape = steps[0].shape();
  for (const Var& step : steps) {
    if (step.shape() != shape) {
      return op.Fail("shapes ", shape.ToString(), " and ", step.shape().ToString(), " differ");
    }
  }
  const int64_t count = static_cast<int64_t>(steps.size()), size = shape.num_elements();
  std::vector<int64_t> dims = {count};
  dims.insert(dims.end(), shape.dims().begin(), shape.dims().end());
  const Shape y_shape{absl::MakeConstSpan(dims)};
  if (!op.CheckResult(y_shape)) return op.Failed();
  Tensor y = op.NewTensor(y_shape);
  for (int64_t i = 0; i < count; ++i) {
    op.kernels().copy_matrix(op.context(), {op.value(static_cast<int>(i)).data<float>(), 1, size, size},
                             {y.mutable_data<float>() + i * size, 1, size, size});
  }
  return op.Record(std::move(y), {}, [count, size, shape](Tape::GradientSink& sink) {
    for (int64_t i = 0; i < count; ++i) {
      if (!sink.wants(static_cast<int>(i))) continue;
      Tensor dx = NewTensor(sink, shape);
      KernelsOf(sink).copy_matrix(sink.context(), {sink.output_gradient().data<float>() + i * size, 1, size, size},
                                  {dx.mutable_data<float>(), 1, size, size});
      sink.Add(static_cast<int>(i), std::move(dx));
    }
  });
}

}  // namespace bitgrad
