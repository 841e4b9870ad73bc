#include "bitgrad/ops/batch_norm.h"

#include <memory>
#include <utility>

#include "bitgrad/ops/batch_norm_statistics.h"
#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/pending_batch_norm.h"

namespace bitgrad {
namespace {

// What is counted for each element is in docs/conventions.md.
ArithmeticCounts ForwardCounts(int64_t elements, int64_t n, BatchNormArithmetic arithmetic) {
  ArithmeticCounts counts = {.float_multiplications = 2 * n, .float_additions = 4 * elements, .square_roots = n};
  (arithmetic == BatchNormArithmetic::kExact ? counts.float_multiplications : counts.shifts) += 3 * elements;
  return counts;
}

ArithmeticCounts BackwardCounts(int64_t elements, BatchNormArithmetic arithmetic) {
  const int64_t shifts = arithmetic == BatchNormArithmetic::kExact        ? 0
                         : arithmetic == BatchNormArithmetic::kShiftPaper ? 4
                                                                          : 6;
  return {
      .float_multiplications = (6 - shifts) * elements, .float_additions = 4 * elements, .shifts = shifts * elements};
}

ArithmeticCounts EvaluationCounts(int64_t elements, BatchNormArithmetic arithmetic) {
  ArithmeticCounts counts = {.float_additions = 2 * elements};
  (arithmetic == BatchNormArithmetic::kExact ? counts.float_multiplications : counts.shifts) += 2 * elements;
  return counts;
}

Var Train(OpRecorder& op, const Shape& shape, Parameter& running_mean, Parameter& running_statistic,
          const BatchNormOptions& options) {
  const int64_t n = shape.cols();
  BatchStatistics batch = MeasureBatch(op, options);
  UpdateRunning(op, batch, shape.rows(), options.momentum, running_mean, running_statistic, options);
  batch.inv_std = FactorOf(op, batch.inv_std, options);
  Tensor gamma = FactorOf(op, op.value(1), options);
  op.tape().Count(ForwardCounts(shape.num_elements(), n, options.arithmetic));

  // Gamma and beta are copied, because the value may be read after the optimizer has changed them.
  auto y = std::make_shared<PendingBatchNorm>(op.value(0).Alias(), batch.mean.Alias(), batch.inv_std.Alias(),
                                              gamma.Clone(op.context().allocator()),
                                              op.value(2).Clone(op.context().allocator()));
  return op.Record(shape, {.pending = std::move(y)}, {},
                   [saved_x = op.Save(0), gamma = std::move(gamma), batch = std::move(batch),
                    placement = options.placement, arithmetic = options.arithmetic](Tape::GradientSink& sink) {
                     const Tensor& dy = sink.output_gradient();
                     const Tensor x = saved_x.Get(sink.context());
                     Tensor dx = NewTensor(sink, dy.shape());
                     Tensor dgamma = NewTensor(sink, gamma.shape());
                     Tensor dbeta = NewTensor(sink, gamma.shape());
                     KernelsOf(sink).batch_norm_train_backward(
                         sink.context(), x.matrix<float>(), dy.matrix<float>(), gamma.data<float>(),
                         batch.mean.data<float>(), batch.variance.data<float>(), batch.inv_std.data<float>(), placement,
                         arithmetic, dx.mutable_matrix<float>(), dgamma.mutable_data<float>(),
                         dbeta.mutable_data<float>());
                     sink.Count(BackwardCounts(dy.num_elements(), arithmetic));
                     if (sink.wants(0)) sink.Add(0, std::move(dx));
                     if (sink.wants(1)) sink.Add(1, std::move(dgamma));
                     if (sink.wants(2)) sink.Add(2, std::move(dbeta));
                   });
}

// FactorOf() as a node of the tape, so that an exporter finds that it is a constant, made of gamma, a parameter.
Var FactorNode(const Var& factor, const BatchNormOptions& options) {
  if (options.arithmetic == BatchNormArithmetic::kExact) return factor;
  OpRecorder op("round_to_powers", {factor});
  if (!op.ok()) return op.Failed();
  return op.Record(FactorOf(op, op.value(0), options), {}, nullptr);
}

// The statistics are operands of the op, so that an exporter finds them on the tape.
Var Evaluate(const Var& x, const Var& gamma, const Var& beta, Parameter& running_mean,
             const Parameter& running_statistic, const BatchNormOptions& options) {
  Tape& tape = *x.tape();
  ExecContext& context = tape.context();
  const Var mean = tape.Use(running_mean);
  Tensor inverse(running_statistic.value.shape(), DType::kFloat32, context.allocator());
  KernelsFor(context.device())
      .batch_norm_running_inverse_std(context, options.statistic, options.epsilon, options.placement,
                                      running_statistic.value.data<float>(), inverse.mutable_data<float>(),
                                      inverse.num_elements());
  const Var inv_std = tape.Input(inverse);
  OpRecorder op("batch_norm", {x, mean, FactorNode(inv_std, options), FactorNode(gamma, options), beta});
  if (!op.ok()) return op.Failed();
  const Shape shape = x.shape();
  Tensor y = op.NewTensor(shape);
  op.kernels().batch_norm_eval(op.context(), op.value(0).matrix<float>(), op.value(1).data<float>(),
                               op.value(2).data<float>(), op.value(3).data<float>(), op.value(4).data<float>(),
                               y.mutable_matrix<float>());
  op.tape().Count(EvaluationCounts(shape.num_elements(), options.arithmetic));
  return op.Record(std::move(y), {}, nullptr);
}

}  // namespace

Var ApplyBatchNorm(const Var& x, const Var& gamma, const Var& beta, Parameter& running_mean,
                   Parameter& running_statistic, const BatchNormOptions& options) {
  OpRecorder op("batch_norm", {x, gamma, beta});
  if (!op.ok()) return op.Failed();
  const Shape shape = x.shape();
  if (!CheckBatchNorm(op, x, gamma, beta, running_mean, running_statistic, options)) return op.Failed();
  if (!op.training()) return Evaluate(x, gamma, beta, running_mean, running_statistic, options);
  if (shape.rows() == 0) return op.Fail("the batch is empty");
  if (options.unbiased && shape.rows() == 1) return op.Fail("one row has no unbiased variance");
  return Train(op, shape, running_mean, running_statistic, options);
}

}  // namespace bitgrad
