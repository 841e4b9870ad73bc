// Evaluation: a model's answers, and how many of them are wrong.

#ifndef BITGRAD_MODELS_TRAINING_EVALUATE_H_
#define BITGRAD_MODELS_TRAINING_EVALUATE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/training/task.h"

namespace bitgrad {

// Examples that ErrorRate() evaluates at a time.
inline constexpr int64_t kEvaluationBatch = 500;

// The logits [batch, classes] of a batch of images [batch, features], on the context's device, computed with running
// statistics and without randomness. Here and below, images, logits and labels may lie on the host or on the device.
// REQUIRES: the model's parameters are on the context's device.
absl::StatusOr<Tensor> Logits(ExecContext& context, Model& model, const Tensor& images);

// The number of rows of `logits` [batch, classes] whose largest value is not the one of the label [batch].
absl::StatusOr<int64_t> CountWrong(ExecContext& context, const Tensor& logits, const Tensor& labels);

// Is given each batch of an evaluation, on the host, and what the model makes of it.
using EvaluationListener = std::function<void(const Batch& batch, Tape& tape, const TaskOutput& output)>;

// The task's metrics over one pass through the loader's batches, in the task's order: with running statistics and
// without randomness. What a recurrent model carries from batch to batch begins with zeros. `stop` is asked before each
// batch; where it says true the result is Cancelled. Other errors are those of the task, of the model's ops and of
// reading images.
absl::StatusOr<std::vector<MetricSum>> EvaluateMetrics(
    ExecContext& context, Model& model, const Task& task, const BatchLoader& loader,
    absl::FunctionRef<bool()> stop = [] { return false; }, const EvaluationListener& listener = nullptr);

// The share of the examples in the range that the model classifies wrongly; NaN where the range is empty. The model
// gets the images as `preprocessing` leaves them, or as they are where it is null. `stop` is asked before each batch;
// where it says true the result is Cancelled.
absl::StatusOr<double> ErrorRate(
    ExecContext& context, Model& model, const Dataset& dataset, const ExampleRange& range,
    std::shared_ptr<const Preprocessing> preprocessing = nullptr,
    absl::FunctionRef<bool()> stop = [] { return false; });

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_EVALUATE_H_
