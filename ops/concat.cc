#include "bitgrad/ops/concat.h"

#include <utility>
#include <vector>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var Concat(absl::Span<const Var> inputs) {
  OpRecorder op("concat", inputs);
  if (!op.ok()) return op.Failed();
  const Shape& first = inputs[0].shape();
  if (first.rank() == 0) return op.Fail("an operand is a scalar");
  std::vector<Shape> shapes;
  int64_t cols = 0;
  for (const Var& input : inputs) {
    const Shape& shape = input.shape();
    if (shape.rank() != first.rank() || shape.dims().first(first.rank() - 1) != first.dims().first(first.rank() - 1)) {
      return op.Fail("shapes ", first.ToString(), " and ", shape.ToString(), " differ before the last dimension");
    }
    shapes.push_back(shape);
    cols += shape.cols();
  }
  std::vector<int64_t> dims(first.dims().begin(), first.dims().end());
  dims.back() = cols;
  const int64_t rows = first.rows();
  const Shape y_shape{absl::MakeConstSpan(dims)};
  if (!op.CheckResult(y_shape)) return op.Failed();
  Tensor y = op.NewTensor(y_shape);
  int64_t begin = 0;
  for (size_t i = 0; i < shapes.size(); ++i) {
    op.kernels().copy_matrix(op.context(), op.value(i).matrix<float>(),
                             {y.mutable_data<float>() + begin, rows, shapes[i].cols(), cols});
    begin += shapes[i].cols();
  }
  return op.Record(std::move(y), {}, [rows, cols, shapes](Tape::GradientSink& sink) {
    int64_t begin = 0;
    for (size_t i = 0; i < shapes.size(); ++i) {
      if (sink.wants(i)) {
        Tensor dx = NewTensor(sink, shapes[i]);
        KernelsOf(sink).copy_matrix(sink.context(),
                                    {sink.output_gradient().data<float>() + begin, rows, shapes[i].cols(), cols},
                                    dx.mutable_matrix<float>());
        sink.Add(i, std::move(dx));
      }
      begin += shapes[i].cols();
    }
  });
}

}  // namespace bitgrad
