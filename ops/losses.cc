#include "bitgrad/ops/losses.h"

#include <utility>

#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {
namespace {

// Whether the labels fit the logits; reports it where they do not.
bool CheckLabels(OpRecorder& op, const Shape& logits, const Tensor& labels) {
  if (logits.rank() != 2 || logits.dim(0) == 0 || logits.dim(1) == 0) {
    op.Fail("logits are ", logits.ToString(), "; they have to be [batch, classes]");
    return false;
  }
  if (!op.CheckTensor("labels", labels, Shape({logits.dim(0)}), DType::kInt32, /*or_host=*/true)) return false;
  if (labels.device() != Device::kCpu) return true;
  for (int32_t label : labels.span<int32_t>()) {
    if (label >= 0 && label < logits.dim(1)) continue;
    op.Fail("label ", label, " is not in [0, ", logits.dim(1), ")");
    return false;
  }
  return true;
}

}  // namespace

Var SoftmaxCrossEntropy(const Var& logits, const Tensor& labels) {
  OpRecorder op("softmax_cross_entropy", {logits});
  if (!op.ok()) return op.Failed();
  if (!CheckLabels(op, logits.shape(), labels)) return op.Failed();
  Tensor device_labels = ToDevice(op.context(), labels);
  Tensor rows = op.NewTensor({logits.shape().dim(0), 2});
  Tensor loss = op.NewTensor({});
  op.kernels().softmax_cross_entropy_forward(op.context(), op.value(0).matrix<float>(), device_labels.data<int32_t>(),
                                             static_cast<SoftmaxRow*>(rows.mutable_raw_data()),
                                             loss.mutable_data<float>());
  // x - max, the sum of the exponentials, the quotient.
  const int64_t count = logits.shape().num_elements();
  op.tape().Count({.float_multiplications = count, .float_additions = 2 * count});
  return op.Record(std::move(loss), {},
                   [rows = std::move(rows), logits = op.value(0).Alias(),
                    labels = std::move(device_labels)](Tape::GradientSink& sink) {
                     Tensor dlogits = NewTensor(sink, logits.shape());
                     KernelsOf(sink).softmax_cross_entropy_backward(
                         sink.context(), logits.matrix<float>(), labels.data<int32_t>(),
                         static_cast<const SoftmaxRow*>(rows.raw_data()), sink.output_gradient().data<float>(),
                         dlogits.mutable_matrix<float>());
                     sink.Count({.float_multiplications = dlogits.num_elements()});
                     sink.Add(0, std::move(dlogits));
                   });
}

Var SquaredHinge(const Var& logits, const Tensor& labels, HingeReduction reduction) {
  OpRecorder op("squared_hinge", {logits});
  if (!op.ok()) return op.Failed();
  if (!CheckLabels(op, logits.shape(), labels)) return op.Failed();
  const int64_t terms =
      reduction == HingeReduction::kMeanOverBatchAndClasses ? logits.shape().num_elements() : logits.shape().dim(0);
  const float scale = 1.0f / static_cast<float>(terms);
  Tensor loss = op.NewTensor({});
  Tensor device_labels = ToDevice(op.context(), labels);
  op.kernels().squared_hinge_forward(op.context(), op.value(0).matrix<float>(), device_labels.data<int32_t>(), scale,
                                     loss.mutable_data<float>());
  // 1 - t y, its square, the sum. Backward: the product with 2 / count.
  const int64_t count = logits.shape().num_elements();
  op.tape().Count({.float_multiplications = count, .float_additions = 2 * count});
  return op.Record(std::move(loss), {},
                   [scale, logits = op.value(0).Alias(), labels = std::move(device_labels)](Tape::GradientSink& sink) {
                     Tensor dlogits = NewTensor(sink, logits.shape());
                     KernelsOf(sink).squared_hinge_backward(
                         sink.context(), logits.matrix<float>(), labels.data<int32_t>(), scale,
                         sink.output_gradient().data<float>(), dlogits.mutable_matrix<float>());
                     sink.Count({.float_multiplications = dlogits.num_elements()});
                     sink.Add(0, std::move(dlogits));
                   });
}

Var MeanSquaredError(const Var& y, const Tensor& target) {
  OpRecorder op("mean_squared_error", {y});
  if (!op.ok()) return op.Failed();
  if (y.shape().num_elements() == 0) return op.Fail("the prediction ", y.shape().ToString(), " is empty");
  if (!op.CheckTensor("targets", target, y.shape(), DType::kFloat32, /*or_host=*/true)) return op.Failed();
  const int64_t count = y.shape().num_elements();
  const float scale = 1.0f / static_cast<float>(count);
  Tensor loss = op.NewTensor({});
  Tensor device_target = ToDevice(op.context(), target);
  op.kernels().squared_error_forward(op.context(), op.value(0).data<float>(), device_target.data<float>(), count, scale,
                                     loss.mutable_data<float>());
  // y - t, its square, the sum. Backward: y - t again, the product with 2 / count.
  op.tape().Count({.float_multiplications = count, .float_additions = 2 * count});
  return op.Record(
      std::move(loss), {},
      [scale, count, y = op.value(0).Alias(), target = std::move(device_target)](Tape::GradientSink& sink) {
        Tensor dy = NewTensor(sink, y.shape());
        KernelsOf(sink).squared_error_backward(sink.context(), y.data<float>(), target.data<float>(), count, scale,
                                               sink.output_gradient().data<float>(), dy.mutable_data<float>());
        sink.Count({.float_multiplications = count, .float_additions = count});
        sink.Add(0, std::move(dy));
      });
}

}  // namespace bitgrad
