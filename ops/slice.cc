#include "bitgrad/ops/slice.h"

#include <utility>
#include <vector>

#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/reshape.h"

namespace bitgrad {
namespace {

// The part as columns of x, which is seen as the matrix [rows, cols].
Var Part(const char* name, const Var& x, int dimension, int64_t begin, int64_t size) {
  OpRecorder op(name, {x});
  if (!op.ok()) return op.Failed();
  const Shape& shape = x.shape();
  if (shape.rank() == 0) return op.Fail("the operand is a scalar");
  if (dimension < 0) dimension = shape.rank() - 1;
  const int64_t extent = shape.dim(dimension);
  if (begin < 0 || size < 0 || begin > extent || size > extent - begin) {
    return op.Fail("the part of ", size, " from ", begin, " on is not within dimension ", dimension, " of ",
                   shape.ToString());
  }
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims[dimension] = size;
  const Shape y_shape{absl::MakeConstSpan(dims)};
  // A part of the first dimension is a part of one row of everything.
  const int64_t inner = Shape(shape.dims().subspan(dimension + 1)).num_elements();
  const int64_t rows = Shape(shape.dims().first(dimension)).num_elements();
  const int64_t cols = size * inner, stride = extent * inner;
  Tensor y = op.NewTensor(y_shape);
  op.kernels().copy_matrix(op.context(), {op.value(0).data<float>() + begin * inner, rows, cols, stride},
                           {y.mutable_data<float>(), rows, cols, cols});
  return op.Record(std::move(y), {{"begin", begin}, {"size", size}},
                   [rows, cols, stride, first = begin * inner](Tape::GradientSink& sink) {
                     sink.AddPart(0, {.rows = rows, .stride = stride, .begin = first, .cols = cols},
                                  sink.output_gradient());
                   });
}

}  // namespace

Var Slice(const Var& x, int64_t begin, int64_t size) { return Part("slice", x, 0, begin, size); }

Var SliceColumns(const Var& x, int64_t begin, int64_t size) { return Part("slice_columns", x, -1, begin, size); }

Var Step(const Var& x, int64_t i) {
  const Var part = Slice(x, i, 1);
  if (part.shape().rank() == 0 || part.shape() == Shape({0})) return part;
  return Reshape(part, Shape(part.shape().dims().subspan(1)));
}

}  // namespace bitgrad
