// A text as TrainingData: a model learns to predict each token of it (language_modeling.h). A batch has
// recipe.batch_size streams of data.steps tokens (data/text_batches.h), in evaluations, too.

#ifndef BITGRAD_MODELS_TRAINING_TEXT_TRAINING_DATA_H_
#define BITGRAD_MODELS_TRAINING_TEXT_TRAINING_DATA_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/texts.h"
#include "bitgrad/models/training/training_data.h"

namespace bitgrad {

class TextTrainingData final : public TrainingData {
 public:
  // As CheckDataFields() and LoadTrainingData().
  static absl::Status Check(const recipe::Recipe& recipe);
  static absl::StatusOr<std::unique_ptr<TrainingData>> Load(const recipe::Recipe& recipe,
                                                            const TrainingDataOptions& options);

  DataKind kind() const override { return {{}, texts_.vocabulary.size()}; }
  Shape example() const override { return {}; }
  std::unique_ptr<Task> TaskOf(const recipe::Recipe& recipe) const override;
  const BatchLoader& training() const override { return training_; }
  int64_t training_examples() const override { return training_.examples_per_epoch(); }
  const BatchLoader* validation() const override { return &validation_; }
  const BatchLoader* test() const override { return &test_; }
  const Preprocessing& preprocessing() const override { return none_; }
  absl::Status Fit(int, std::FILE*) override { return absl::OkStatus(); }
  absl::Status Restore(const Checkpoint&) override { return absl::OkStatus(); }
  void Describe(checkpoint::Header& header) const override;
  absl::Status CheckSame(const Checkpoint& checkpoint) const override;
  void Print(std::FILE* log) const override;
  DataMemory memory() const override;

 private:
  TextTrainingData(Texts texts, int64_t streams, int64_t steps, BatchLoader training, BatchLoader validation,
                   BatchLoader test);

  const Texts texts_;
  const int64_t streams_;
  const int64_t steps_;
  const BatchLoader training_, validation_, test_;
  const Preprocessing none_;
};

// The task of a model of text, and how its tests are read: what training and evaluation share.
std::unique_ptr<Task> TextTaskOf(const recipe::Recipe& recipe, TextUnit unit, int64_t vocabulary);
absl::StatusOr<BatchLoader> TextEvaluationBatches(const recipe::Recipe& recipe, const Text& text);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_TEXT_TRAINING_DATA_H_
