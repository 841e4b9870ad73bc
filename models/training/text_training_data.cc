#include "bitgrad/models/training/text_training_data.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/data/text_batches.h"
#include "bitgrad/models/training/language_modeling.h"

namespace bitgrad {
namespace {

constexpr int kMostSteps = 1 << 16;

template <typename... What>
absl::Status Error(const recipe::Recipe& recipe, const What&... what) {
  return absl::InvalidArgumentError(absl::StrCat("recipe: data set '", recipe.data().name(), "' is a text: ", what...));
}

}  // namespace

absl::Status TextTrainingData::Check(const recipe::Recipe& recipe) {
  const recipe::DataSet& data = recipe.data();
  if (data.steps() < 1 || data.steps() > kMostSteps) {
    return Error(recipe, "data.steps is ", data.steps(),
                 "; it is the number of tokens of each stream that a batch has, ", "such as 35, and has to be in [1, ",
                 kMostSteps, "]");
  }
  if (recipe.loss() != recipe::SOFTMAX_CROSS_ENTROPY) {
    return Error(recipe, "loss is ", recipe::Loss_Name(recipe.loss()),
                 "; tokens are predicted with loss: SOFTMAX_CROSS_ENTROPY");
  }
  if (data.validation_examples() != 0) {
    return Error(recipe, "data.validation_examples is ", data.validation_examples(),
                 "; a text of its own validates, leave it out");
  }
  const std::pair<const char*, bool> of_images[] = {{"augmentation", data.augmentation_size() > 0},
                                                    {"preprocessing", data.preprocessing_size() > 0},
                                                    {"image_size", data.image_size() != 0},
                                                    {"validation", data.validation() != recipe::DataSet::LAST},
                                                    {"image_cache_mib", data.image_cache_mib() != 0},
                                                    {"first_label", data.has_first_label()},
                                                    {"classes", data.classes() != 0}};
  for (const auto& [field, is_set] : of_images) {
    if (is_set) return Error(recipe, "data.", field, " is for images alone, leave it out");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<TrainingData>> TextTrainingData::Load(const recipe::Recipe& recipe,
                                                                     const TrainingDataOptions& options) {
  BITGRAD_ASSIGN_OR_RETURN(
      Texts texts, LoadTexts(recipe.data().name(), {.data_dir = options.data_dir, .limit = recipe.data().limit()}));
  const int64_t streams = recipe.batch_size(), steps = recipe.data().steps();
  BITGRAD_ASSIGN_OR_RETURN(
      BatchLoader training,
      TextBatches(texts.train, {.streams = streams, .steps = steps, .prefetch = {.workers = options.workers}}));
  BITGRAD_ASSIGN_OR_RETURN(BatchLoader validation, TextEvaluationBatches(recipe, texts.valid));
  BITGRAD_ASSIGN_OR_RETURN(BatchLoader test, TextEvaluationBatches(recipe, texts.test));
  return std::unique_ptr<TrainingData>(new TextTrainingData(std::move(texts), streams, steps, std::move(training),
                                                            std::move(validation), std::move(test)));
}

TextTrainingData::TextTrainingData(Texts texts, int64_t streams, int64_t steps, BatchLoader training,
                                   BatchLoader validation, BatchLoader test)
    : texts_(std::move(texts)),
      streams_(streams),
      steps_(steps),
      training_(std::move(training)),
      validation_(std::move(validation)),
      test_(std::move(test)) {}

std::unique_ptr<Task> TextTrainingData::TaskOf(const recipe::Recipe& recipe) const {
  return TextTaskOf(recipe, texts_.unit, texts_.vocabulary.size());
}

void TextTrainingData::Describe(checkpoint::Header& header) const {
  header.set_text(texts_.unit == TextUnit::kWords ? checkpoint::WORDS : checkpoint::CHARACTERS);
  header.set_classes(texts_.vocabulary.size());
  for (const std::string& token : texts_.vocabulary.tokens()) header.add_class_names(token);
  *header.mutable_training_data() = FingerprintOf(texts_.train);
  *header.mutable_validation_data() = FingerprintOf(texts_.valid);
  *header.mutable_test_data() = FingerprintOf(texts_.test);
}

absl::Status TextTrainingData::CheckSame(const Checkpoint& checkpoint) const {
  const checkpoint::Header& header = checkpoint.header();
  BITGRAD_RETURN_IF_ERROR(
      CheckSameFingerprint(checkpoint.path(), "training", header.training_data(), FingerprintOf(texts_.train)));
  BITGRAD_RETURN_IF_ERROR(
      CheckSameFingerprint(checkpoint.path(), "validation", header.validation_data(), FingerprintOf(texts_.valid)));
  BITGRAD_RETURN_IF_ERROR(
      CheckSameFingerprint(checkpoint.path(), "test", header.test_data(), FingerprintOf(texts_.test)));
  // The numbers of the tokens were compared; other words may have had them.
  const std::vector<std::string> before(header.class_names().begin(), header.class_names().end());
  const std::string other = DifferenceOfClassNames(before, texts_.vocabulary.tokens());
  if (other.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("checkpoint '", checkpoint.path(), "' was trained with other data. Of its vocabulary ", other,
                   "; resume with the data that it had (--data_dir), or begin a ", "new run with another --out"));
}

void TextTrainingData::Print(std::FILE* log) const {
  for (const Text* text : {&texts_.train, &texts_.valid, &texts_.test}) {
    absl::FPrintF(log, "%s %s\n", text->summary, ChecksumsOf(FingerprintOf(*text)));
  }
  absl::FPrintF(log, "vocabulary: %d different tokens\n", texts_.vocabulary.size());
  for (const std::string& warning : texts_.warnings) absl::FPrintF(log, "warning: %s\n", warning);
  std::fflush(log);
}

DataMemory TextTrainingData::memory() const {
  DataMemory memory = {.name = "texts"};
  for (const Text* text : {&texts_.train, &texts_.valid, &texts_.test}) {
    memory.held += static_cast<int64_t>(text->tokens.byte_size());
  }
  memory.evaluated = std::min(streams_, std::max(texts_.valid.size(), texts_.test.size()));
  memory.batch = 2 * static_cast<int64_t>(sizeof(int32_t)) * streams_ * std::min(steps_, texts_.train.size());
  return memory;
}

std::unique_ptr<Task> TextTaskOf(const recipe::Recipe& recipe, TextUnit unit, int64_t vocabulary) {
  return LanguageModeling({.vocabulary = vocabulary,
                           .steps = recipe.data().steps(),
                           .unit = unit,
                           .loss_scale = recipe.has_loss_scale() ? recipe.loss_scale() : 1.0f});
}

absl::StatusOr<BatchLoader> TextEvaluationBatches(const recipe::Recipe& recipe, const Text& text) {
  return TextBatches(text, {.streams = recipe.batch_size(), .steps = recipe.data().steps(), .all_tokens = true});
}

}  // namespace bitgrad
