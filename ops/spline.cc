#include "bitgrad/ops/spline.h"

#include <utility>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {
namespace {

// The grid of the coefficients that are operand `operand`; knots = 0 where it reports an error.
SplineGrid CheckGrid(OpRecorder& op, int operand, float range) {
  const Shape& shape = op.value(operand).shape();
  if (shape.rank() != 2 || shape.num_elements() == 0) {
    op.Fail("coefficients ", shape.ToString(), " have to be [channels, knots]");
    return {};
  }
  const SplineGrid grid = {.knots = shape.cols(), .range = range};
  if (const absl::Status status = grid.status(); !status.ok()) {
    op.Fail(status.message());
    return {};
  }
  if (shape.num_elements() > (int64_t{1} << 31) - 1) {
    op.Fail("coefficients ", shape.ToString(), " are more than 2^31 - 1");
    return {};
  }
  return grid;
}

}  // namespace

Var Spline(const Var& x, const Var& c, float range, float threshold) {
  OpRecorder op("spline", {x, c});
  if (!op.ok()) return op.Failed();
  const SplineGrid grid = CheckGrid(op, 1, range);
  if (grid.knots == 0) return op.Failed();
  const Shape shape = x.shape();
  const int64_t channels = op.value(1).shape().dim(0);
  if (shape.rank() == 0 || shape.cols() != channels) {
    return op.Fail("input ", shape.ToString(), " does not have the ", channels, " channels of coefficients ",
                   op.value(1).shape().ToString());
  }
  const int64_t count = shape.num_elements(), rows = count / channels;
  const bool keeps_x = op.wants(1), keeps_intervals = op.wants(0) && !keeps_x;
  Tensor y = op.NewTensor(shape);
  Tensor intervals = keeps_intervals ? op.NewTensor(shape, DType::kUint8) : Tensor();
  op.kernels().spline_forward(op.context(), grid, {op.value(0).data<float>(), rows, channels},
                              op.value(1).data<float>(), y.mutable_data<float>(),
                              keeps_intervals ? intervals.mutable_data<uint8_t>() : nullptr);
  op.tape().Count({.float_multiplications = 2 * count, .float_additions = 4 * count});
  const absl::InlinedVector<Attribute, 1> attributes = {{"range", double{range}}, {"threshold", double{threshold}}};
  Tensor coefficients = op.wants(0) || op.wants(1) ? op.value(1).Alias() : Tensor();
  if (!keeps_x) {
    return op.Record(std::move(y), attributes,
                     [grid, rows, channels, intervals = std::move(intervals),
                      coefficients = std::move(coefficients)](Tape::GradientSink& sink) {
                       const Tensor& dy = sink.output_gradient();
                       Tensor dx = NewTensor(sink, dy.shape());
                       KernelsOf(sink).spline_backward_input(sink.context(), grid, rows, channels,
                                                             intervals.data<uint8_t>(), coefficients.data<float>(),
                                                             dy.data<float>(), dx.mutable_data<float>());
                       sink.Count({.float_multiplications = 2 * rows * channels, .float_additions = rows * channels});
                       sink.Add(0, std::move(dx));
                     });
  }
  return op.Record(
      std::move(y), attributes,
      [grid, rows, channels, x = op.Save(0), coefficients = std::move(coefficients)](Tape::GradientSink& sink) {
        const Tensor& dy = sink.output_gradient();
        const Tensor values = x.Get(sink.context());
        Tensor dx = sink.wants(0) ? NewTensor(sink, dy.shape()) : Tensor();
        Tensor dc = NewTensor(sink, coefficients.shape());
        KernelsOf(sink).spline_backward(sink.context(), grid, {values.data<float>(), rows, channels},
                                        coefficients.data<float>(), dy.data<float>(),
                                        sink.wants(0) ? dx.mutable_data<float>() : nullptr, dc.mutable_data<float>());
        sink.Count({.float_multiplications = 4 * rows * channels, .float_additions = 5 * rows * channels});
        if (sink.wants(0)) sink.Add(0, std::move(dx));
        sink.Add(1, std::move(dc));
      });
}

Var AddLinearTerm(const Var& c, const Var& b0, const Var& b1, float range) {
  OpRecorder op("spline_linear_term", {c, b0, b1});
  if (!op.ok()) return op.Failed();
  const SplineGrid grid = CheckGrid(op, 0, range);
  if (grid.knots == 0) return op.Failed();
  const Shape shape = c.shape();
  const int64_t channels = shape.dim(0);
  for (const Var& b : {b0, b1}) {
    if (b.shape() == Shape({channels})) continue;
    return op.Fail("linear term ", b.shape().ToString(), " has to be [", channels, "]");
  }
  Tensor y = op.NewTensor(shape);
  op.kernels().spline_linear_term_forward(op.context(), grid, channels, op.value(0).data<float>(),
                                          op.value(1).data<float>(), op.value(2).data<float>(),
                                          y.mutable_data<float>());
  op.tape().Count({.float_multiplications = shape.num_elements(), .float_additions = 2 * shape.num_elements()});
  return op.Record(std::move(y), {{"range", double{range}}}, [channels, grid](Tape::GradientSink& sink) {
    const Tensor dc = sink.output_gradient().Alias();
    Tensor db0 = NewTensor(sink, {channels}), db1 = NewTensor(sink, {channels});
    KernelsOf(sink).spline_linear_term_backward(sink.context(), grid, channels, dc.data<float>(),
                                                db0.mutable_data<float>(), db1.mutable_data<float>());
    sink.Count({.float_multiplications = dc.num_elements(), .float_additions = 2 * dc.num_elements()});
    if (sink.wants(0)) sink.Add(0, dc.Alias());
    if (sink.wants(1)) sink.Add(1, std::move(db0));
    if (sink.wants(2)) sink.Add(2, std::move(db1));
  });
}

Var Sparsify(const Var& c, float range, float threshold) {
  OpRecorder op("spline_sparsify", {c});
  if (!op.ok()) return op.Failed();
  const SplineGrid grid = CheckGrid(op, 0, range);
  if (grid.knots == 0) return op.Failed();
  if (!(threshold >= 0)) return op.Fail("threshold ", threshold, " must not be negative");
  if (op.wants(0)) return op.Fail("it has no gradient; apply it in evaluation only");
  Tensor y = op.NewTensor(c.shape());
  op.kernels().sparsify_splines(op.context(), grid, c.shape().dim(0), threshold, op.value(0).data<float>(),
                                y.mutable_data<float>());
  return op.Record(std::move(y), {{"range", double{range}}}, [](Tape::GradientSink&) {});
}

Var SplinePenalty(const Var& c, float range, SplinePenaltyKind kind) {
  OpRecorder op("spline_penalty", {c});
  if (!op.ok()) return op.Failed();
  const SplineGrid grid = CheckGrid(op, 0, range);
  if (grid.knots == 0) return op.Failed();
  const int64_t channels = c.shape().dim(0);
  const Tensor& coefficients = op.value(0);
  Tensor y = op.NewTensor({});
  op.kernels().spline_penalty_forward(op.context(), grid, kind, channels, coefficients.data<float>(),
                                      y.mutable_data<float>());
  const int64_t count = coefficients.num_elements();
  op.tape().Count({.float_multiplications = 2 * count, .float_additions = 3 * count});
  return op.Record(std::move(y), {{"range", double{range}}},
                   [grid, kind, channels, count, c = coefficients.Alias()](Tape::GradientSink& sink) {
                     Tensor dc = NewTensor(sink, c.shape());
                     KernelsOf(sink).spline_penalty_backward(sink.context(), grid, kind, channels, c.data<float>(),
                                                             sink.output_gradient().data<float>(),
                                                             dc.mutable_data<float>());
                     sink.Count({.float_multiplications = 2 * count, .float_additions = 4 * count});
                     sink.Add(0, std::move(dc));
                   });
}

}  // namespace bitgrad
