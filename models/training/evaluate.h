// Evaluation: how many examples a model classifies wrongly.

#ifndef BITGRAD_MODELS_TRAINING_EVALUATE_H_
#define BITGRAD_MODELS_TRAINING_EVALUATE_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/models/model.h"

namespace bitgrad {

// Examples that ErrorRate() evaluates at a time.
inline constexpr int64_t kEvaluationBatch = 500;

// Logits of a batch, by an evaluation tape, on the context's device. Images, and labels below, are given on the host or
// on the device; the model's parameters are on the device.
absl::StatusOr<Tensor> Logits(ExecContext& context, Model& model, const Tensor& images);

// Rows of `logits` whose largest value is not at the label.
absl::StatusOr<int64_t> CountWrong(ExecContext& context, const Tensor& logits, const Tensor& labels);

// The share of wrong examples in the range; NaN for an empty one. The model sees images after `preprocessing`, null:
// none.
absl::StatusOr<double> ErrorRate(ExecContext& context, Model& model, const Dataset& dataset, const ExampleRange& range,
                                 std::shared_ptr<const Preprocessing> preprocessing = nullptr);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_EVALUATE_H_
