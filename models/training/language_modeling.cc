#include "bitgrad/models/training/language_modeling.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/losses.h"

namespace bitgrad {
namespace {

constexpr MetricInfo kMetrics[] = {{kNegativeLogLikelihood, /*is_counted=*/false}};

class LanguageModelingTask final : public Task {
 public:
  explicit LanguageModelingTask(const LanguageModelingOptions& options) : options_(options) {}

  absl::Span<const MetricInfo> metrics() const override { return kMetrics; }

  MetricDisplay display() const override {
    return options_.unit == TextUnit::kWords ? MetricDisplay::kPerplexity : MetricDisplay::kBitsPerCharacter;
  }

  Batch Blank(int64_t streams) const override {
    const Shape shape({options_.steps, streams});
    return {.tokens = Tensor::Zeros(shape, DType::kInt32), .targets = Tensor::Zeros(shape, DType::kInt32)};
  }

  absl::Status Check(const Batch& batch) const override {
    for (const Tensor* tensor : {&batch.tokens, &batch.targets}) {
      if (tensor->is_null() || tensor->dtype() != DType::kInt32 || tensor->shape().rank() != 2 ||
          tensor->shape() != batch.tokens.shape()) {
        return absl::InvalidArgumentError(
            "language modeling: a batch has tokens [steps, streams] and as many targets, both int32");
      }
      for (const int32_t token : tensor->span<int32_t>()) {
        if (token >= 0 && token < options_.vocabulary) continue;
        return absl::InvalidArgumentError(
            absl::StrCat("language modeling: token ", token, " is not in [0, ", options_.vocabulary, ")"));
      }
    }
    return absl::OkStatus();
  }

  TaskOutput Forward(Model& model, Tape& tape, const Batch& batch) const override {
    TaskOutput output;
    output.predictions = model.Forward(tape.Input(batch.tokens));
    const int64_t count = batch.targets.num_elements();
    const Shape& shape = output.predictions.shape();
    // Targets on a GPU are not checked: they must not point beyond a row of the logits.
    if (tape.status().ok() && (shape.rank() != 2 || shape.dim(0) != count || shape.cols() != options_.vocabulary)) {
      tape.ReportError(absl::InvalidArgumentError(absl::StrCat(
          "language modeling: the model gives ", shape.ToString(), " for tokens ", batch.tokens.shape().ToString(),
          "; it should give [", count, ", ", options_.vocabulary, "], a logit for each token that may follow")));
    }
    output.loss = SoftmaxCrossEntropy(output.predictions, batch.targets.Alias(Shape({count})));
    return output;
  }

  // The loss is the metric.
  absl::Status Measure(Tape& tape, const TaskOutput& output, const Batch&, MetricCell* cells) const override {
    BITGRAD_ASSIGN_OR_RETURN(const Tensor* loss, tape.Value(output.loss));
    tape.context().allocator().Copy(&cells[0].mean, loss->raw_data(), sizeof(float));
    return tape.context().status();
  }

  int64_t Count(const Batch& batch) const override { return batch.targets.num_elements(); }

  float loss_scale() const override { return options_.loss_scale; }

 private:
  const LanguageModelingOptions options_;
};

}  // namespace

std::unique_ptr<Task> LanguageModeling(const LanguageModelingOptions& options) {
  return std::make_unique<LanguageModelingTask>(options);
}

}  // namespace bitgrad
