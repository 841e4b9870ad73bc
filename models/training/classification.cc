#include "bitgrad/models/training/classification.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/loss.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

constexpr MetricInfo kMetrics[] = {{kErrors, /*is_counted=*/true}};

class ClassificationTask final : public Task {
 public:
  explicit ClassificationTask(const ClassificationOptions& options) : options_(options) {}

  absl::Span<const MetricInfo> metrics() const override { return kMetrics; }

  Batch Blank(int64_t examples) const override {
    return {.images = Tensor::Zeros({examples, options_.features}), .labels = Tensor::Zeros({examples}, DType::kInt32)};
  }

  absl::Status Check(const Batch& batch) const override {
    if (batch.images.is_null() || batch.images.shape().rank() == 0 || batch.labels.is_null() ||
        batch.labels.dtype() != DType::kInt32 || batch.labels.shape() != Shape({batch.images.shape().dim(0)})) {
      return absl::InvalidArgumentError(
          "classification: a batch has images [batch, ...] and as many labels that are int32");
    }
    for (const int32_t label : batch.labels.span<int32_t>()) {
      if (label >= 0 && label < options_.classes) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("classification: label ", label, " is not in [0, ", options_.classes, ")"));
    }
    return absl::OkStatus();
  }

  TaskOutput Forward(Model& model, Tape& tape, const Batch& batch) const override {
    TaskOutput output;
    output.predictions = model.Forward(tape.Input(batch.images));
    const Shape& shape = output.predictions.shape();
    // Labels on a GPU are not checked: they must not point beyond a row of the logits.
    if (tape.status().ok() && (shape.rank() != 2 || shape.cols() < options_.classes)) {
      tape.ReportError(absl::InvalidArgumentError(absl::StrCat("classification: the model gives ", shape.ToString(),
                                                               " where it should give [batch, ", options_.classes,
                                                               "], a logit for each class")));
    }
    output.loss = ApplyLoss(options_.loss, output.predictions, batch.labels);
    return output;
  }

  absl::Status Measure(Tape& tape, const TaskOutput& output, const Batch& batch, MetricCell* cells) const override {
    BITGRAD_ASSIGN_OR_RETURN(const Tensor* logits, tape.Value(output.predictions));
    ExecContext& context = tape.context();
    KernelsFor(context.device())
        .count_errors(context, logits->matrix<float>(), batch.labels.data<int32_t>(), &cells[0].counted);
    return context.status();
  }

  int64_t Count(const Batch& batch) const override { return batch.size(); }

  float loss_scale() const override { return options_.loss_scale; }

 private:
  const ClassificationOptions options_;
};

}  // namespace

std::unique_ptr<Task> Classification(const ClassificationOptions& options) {
  return std::make_unique<ClassificationTask>(options);
}

}  // namespace bitgrad
