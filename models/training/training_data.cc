#include "bitgrad/models/training/training_data.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/data/texts.h"
#include "bitgrad/models/training/image_training_data.h"
#include "bitgrad/models/training/text_training_data.h"

namespace bitgrad {

absl::Status CheckDataFields(const recipe::Recipe& recipe) {
  const bool is_text = FindTextDataset(recipe.data().name()) != nullptr;
  return is_text ? TextTrainingData::Check(recipe) : ImageTrainingData::Check(recipe);
}

absl::Status CheckSameFingerprint(absl::string_view path, absl::string_view split, const fingerprint::DataSet& known,
                                  const fingerprint::DataSet& found) {
  const std::string difference = DifferenceOf(known, found);
  if (difference.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("checkpoint '", path, "' was trained with other data. Its ", split, " set has: ", difference,
                   "; resume with the data that it had (--data_dir), or begin a new run with another --out"));
}

absl::StatusOr<std::unique_ptr<TrainingData>> LoadTrainingData(const recipe::Recipe& recipe,
                                                               const TrainingDataOptions& options) {
  const bool is_text = FindTextDataset(recipe.data().name()) != nullptr;
  return is_text ? TextTrainingData::Load(recipe, options) : ImageTrainingData::Load(recipe, options);
}

}  // namespace bitgrad
