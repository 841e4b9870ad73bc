// Images and their classes as TrainingData.

#ifndef BITGRAD_MODELS_TRAINING_IMAGE_TRAINING_DATA_H_
#define BITGRAD_MODELS_TRAINING_IMAGE_TRAINING_DATA_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/validation.h"
#include "bitgrad/models/training/training_data.h"
#include "bitgrad/proto/fingerprint.pb.h"

namespace bitgrad {

class ImageTrainingData final : public TrainingData {
 public:
  // As CheckDataFields() and LoadTrainingData().
  static absl::Status Check(const recipe::Recipe& recipe);
  static absl::StatusOr<std::unique_ptr<TrainingData>> Load(const recipe::Recipe& recipe,
                                                            const TrainingDataOptions& options);

  DataKind kind() const override { return {train_.image_shape(), train_.num_classes}; }
  Shape example() const override { return {train_.features()}; }
  std::unique_ptr<Task> TaskOf(const recipe::Recipe& recipe) const override;
  const BatchLoader& training() const override { return *loader_; }
  int64_t training_examples() const override { return parts_.train.size(); }
  const BatchLoader* validation() const override { return validation_.get(); }
  const BatchLoader* test() const override { return test_loader_.get(); }
  const Preprocessing& preprocessing() const override { return *preprocessing_; }
  absl::Status Fit(int threads, std::FILE* log) override;
  absl::Status Restore(const Checkpoint& checkpoint) override {
    return checkpoint.RestorePreprocessing(*preprocessing_);
  }
  void Describe(checkpoint::Header& header) const override;
  absl::Status CheckSame(const Checkpoint& checkpoint) const override;
  void Print(std::FILE* log) const override;
  absl::optional<diagnostics::Picture> PictureOf(int64_t example) const override;
  DataMemory memory() const override;

 private:
  ImageTrainingData() = default;
  absl::Status LoadSets(const recipe::Recipe& recipe, const TrainingDataOptions& options);

  Dataset train_, test_;
  TrainValidation parts_;
  int64_t batch_size_ = 0;
  std::vector<std::string> steps_;  // of the preprocessing, as the recipe has them
  std::shared_ptr<Preprocessing> preprocessing_;
  std::unique_ptr<BatchLoader> loader_;
  std::unique_ptr<BatchLoader> validation_, test_loader_;  // null: there are no examples
  fingerprint::DataSet training_data_, test_data_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_IMAGE_TRAINING_DATA_H_
