#include "bitgrad/ops/arithmetic.h"

#include <utility>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {
namespace {

// The operand as a matrix [rows, cols], the shape of the result. One that is broadcast repeats its single row.
ConstMatrixView<float> Rows(const Tensor& t, int64_t rows, int64_t cols, bool broadcast) {
  return {t.data<float>(), rows, cols, broadcast ? 0 : cols};
}

Var Arithmetic(const char* name, Binary kind, const Var& a, const Var& b) {
  OpRecorder op(name, {a, b});
  if (!op.ok()) return op.Failed();
  const Shape shape = a.shape();
  const bool broadcast = b.shape() != shape;
  const bool fits =
      shape.rank() > 0 && (Shape(shape.dims().subspan(1)) == b.shape() || Shape({shape.cols()}) == b.shape());
  if (broadcast && !fits) {
    return op.Fail(
        "shapes ", shape.ToString(), " and ", b.shape().ToString(),
        " do not match; they have to be equal, or the second that of one example or of the last dimension of the "
        "first");
  }
  const bool per_channel = broadcast && b.shape() == Shape({shape.cols()});
  const int64_t rows = per_channel ? shape.rows() : broadcast ? shape.dim(0) : 1;
  const int64_t cols = broadcast ? b.shape().num_elements() : shape.num_elements();
  Tensor y = op.NewTensor(shape);
  op.kernels().binary_forward(op.context(), kind, Rows(op.value(0), rows, cols, false),
                              Rows(op.value(1), rows, cols, broadcast), {y.mutable_data<float>(), rows, cols});
  const int64_t count = rows * cols;
  op.tape().Count(kind == Binary::kMul ? ArithmeticCounts{.float_multiplications = count}
                                       : ArithmeticCounts{.float_additions = count});

  Tensor saved_a, saved_b;
  if (kind == Binary::kMul) {
    if (op.wants(1)) saved_a = op.value(0).Alias();
    if (op.wants(0)) saved_b = op.value(1).Alias();
  }
  return op.Record(std::move(y), {},
                   [kind, rows, cols, broadcast, b_shape = b.shape(), saved_a = std::move(saved_a),
                    saved_b = std::move(saved_b)](Tape::GradientSink& sink) {
                     const Kernels& kernels = KernelsOf(sink);
                     const Tensor& dy = sink.output_gradient();
                     const ConstMatrixView<float> dy_rows = Rows(dy, rows, cols, false);
                     if (sink.wants(0)) {
                       if (kind != Binary::kMul) {
                         sink.Add(0, dy.Alias());
                       } else {
                         Tensor da = NewTensor(sink, dy.shape());
                         kernels.binary_forward(sink.context(), Binary::kMul, dy_rows,
                                                Rows(saved_b, rows, cols, broadcast),
                                                {da.mutable_data<float>(), rows, cols});
                         sink.Count({.float_multiplications = rows * cols});
                         sink.Add(0, std::move(da));
                       }
                     }
                     if (sink.wants(1)) {
                       Tensor full;  // db before the sum over the batch
                       if (kind == Binary::kMul) {
                         full = NewTensor(sink, dy.shape());
                         kernels.binary_forward(sink.context(), Binary::kMul, dy_rows, Rows(saved_a, rows, cols, false),
                                                {full.mutable_data<float>(), rows, cols});
                         sink.Count({.float_multiplications = rows * cols});
                       } else {
                         full = dy.Alias();
                       }
                       Tensor db;
                       if (broadcast) {
                         db = NewTensor(sink, b_shape);
                         kernels.sum_rows(sink.context(), Rows(full, rows, cols, false), /*accumulate=*/false,
                                          db.mutable_data<float>());
                         sink.Count({.float_additions = rows * cols});
                       } else {
                         db = std::move(full);
                       }
                       if (kind == Binary::kSub) {
                         Tensor negative = NewTensor(sink, db.shape());
                         kernels.scale_f32(sink.context(), -1.0f, db.data<float>(), /*accumulate=*/false,
                                           negative.mutable_data<float>(), db.num_elements());
                         db = std::move(negative);
                       }
                       sink.Add(1, std::move(db));
                     }
                   });
}

}  // namespace

Var Add(const Var& a, const Var& b) { return Arithmetic("add", Binary::kAdd, a, b); }
Var Sub(const Var& a, const Var& b) { return Arithmetic("sub", Binary::kSub, a, b); }
Var Mul(const Var& a, const Var& b) { return Arithmetic("mul", Binary::kMul, a, b); }

}  // namespace bitgrad
