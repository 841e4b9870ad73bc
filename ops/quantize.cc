#include "bitgrad/ops/quantize.h"

#include <utility>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/quantize_operand.h"

namespace bitgrad {
namespace {

// Counts how many values lie inside the window, as Linear does for the operands that it quantizes itself.
void ObserveWindow(OpRecorder& op, const Tensor& x) {
  const ConstMatrixView<float> matrix = x.matrix<float>();
  BitMatrix signs(matrix.rows, matrix.cols, op.context().allocator());
  BitMatrix window(matrix.rows, matrix.cols, op.context().allocator());
  op.kernels().pack_signs(op.context(), matrix, signs.mutable_view(), window.mutable_view());
  op.kernels().count_ones(op.context(), window.view(), op.tape().Observe(matrix.rows * matrix.cols));
}

}  // namespace

Var Quantize(const Var& x, const Quantizer& quantizer) {
  OpRecorder op("quantize", {x});
  if (!op.ok()) return op.Failed();
  if (!op.CheckQuantizer(quantizer)) return op.Failed();
  const Quantizer q = op.training() ? quantizer : quantizer.AtEvaluation(QuantizerRole::kActivation);
  if (q.is_identity()) return x;
  const Tensor& value = op.value(0);
  Tensor statistic = ComputeStatistic(op.context(), q, value);
  Tensor y = op.NewTensor(x.shape());
  op.kernels().quantize_values(op.context(), q, value.matrix<float>(), StatisticData(statistic),
                               op.tape().NextRandomStream(RngPurpose::kQuantizer), y.mutable_matrix<float>());
  if (op.wants(0) && q.info().surrogate_is_window) ObserveWindow(op, value);
  Tensor saved = value.Alias();
  return op.Record(std::move(y), {{"quantizer", q.ToString()}},
                   [q, saved = std::move(saved), statistic = std::move(statistic)](Tape::GradientSink& sink) {
                     const Tensor& dy = sink.output_gradient();
                     Tensor dx = NewTensor(sink, dy.shape());
                     KernelsOf(sink).quantize_backward(sink.context(), q, saved.matrix<float>(),
                                                       StatisticData(statistic), dy.matrix<float>(),
                                                       dx.mutable_matrix<float>());
                     sink.Add(0, std::move(dx));
                   });
}

}  // namespace bitgrad
