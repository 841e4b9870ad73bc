#include "ops/quantize.h"

#include <utility>

#include "ops/op_recorder.h"
#include "ops/quantize_operand.h"

namespace bitgrad {

Var Quantize(const Var& x, const Quantizer& quantizer) {
  OpRecorder op("quantize", {x});
  if (!op.ok()) return op.Failed();
  const Quantizer q =
      op.training() ? quantizer : quantizer.AtEvaluation(QuantizerRole::kActivation);
  if (q.is_identity()) return x;
  const Tensor& value = op.value(0);
  Tensor statistic = ComputeStatistic(op.context(), q, value);
  Tensor y = op.NewTensor(x.shape());
  op.kernels().quantize_values(op.context(), q, value.matrix<float>(), StatisticData(statistic),
                               op.tape().NextRandomStream(RngPurpose::kQuantizer),
                               y.mutable_matrix<float>());
  Tensor saved = value.Alias();
  return op.Record(std::move(y), {{"quantizer", q.ToString()}},
                   [q, saved = std::move(saved),
                    statistic = std::move(statistic)](Tape::GradientSink& sink) {
                     const Tensor& dy = sink.output_gradient();
                     Tensor dx = NewTensor(sink, dy.shape());
                     KernelsOf(sink).quantize_backward(
                         sink.context(), q, saved.matrix<float>(), StatisticData(statistic),
                         dy.matrix<float>(), dx.mutable_matrix<float>());
                     sink.Add(0, std::move(dx));
                   });
}

}  // namespace bitgrad
