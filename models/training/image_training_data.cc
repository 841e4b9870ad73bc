#include "bitgrad/models/training/image_training_data.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/augmentation.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/models/data_options.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/evaluate.h"

namespace bitgrad {
namespace {

std::vector<std::string> Strings(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

// Images that are decoded when needed have a limit of their own (data.image_cache_mib).
int64_t BytesOf(const Dataset& data) {
  return data.images.is_null() ? 0 : static_cast<int64_t>(data.images.byte_size());
}

absl::StatusOr<std::unique_ptr<BatchLoader>> EvaluationLoader(
    const Dataset& dataset, const ExampleRange& range, const std::shared_ptr<const Preprocessing>& preprocessing) {
  if (range.size() == 0) return std::unique_ptr<BatchLoader>();
  BITGRAD_ASSIGN_OR_RETURN(
      BatchLoader all,
      BatchLoader::Create(dataset, range, {.batch_size = kEvaluationBatch, .preprocessing = preprocessing}));
  return std::make_unique<BatchLoader>(std::move(all));
}

}  // namespace

absl::Status ImageTrainingData::Check(const recipe::Recipe& recipe) {
  BITGRAD_RETURN_IF_ERROR(ParsePreprocessing(Strings(recipe.data().preprocessing())).status());
  return ParseAugmentation(Strings(recipe.data().augmentation())).status();
}

absl::StatusOr<std::unique_ptr<TrainingData>> ImageTrainingData::Load(const recipe::Recipe& recipe,
                                                                      const TrainingDataOptions& options) {
  std::unique_ptr<ImageTrainingData> data(new ImageTrainingData);
  BITGRAD_RETURN_IF_ERROR(data->LoadSets(recipe, options));
  return std::unique_ptr<TrainingData>(std::move(data));
}

absl::Status ImageTrainingData::LoadSets(const recipe::Recipe& recipe, const TrainingDataOptions& options) {
  batch_size_ = recipe.batch_size();
  steps_ = Strings(recipe.data().preprocessing());
  BITGRAD_ASSIGN_OR_RETURN(Preprocessing preprocessing, ParsePreprocessing(steps_));
  preprocessing_ = std::make_shared<Preprocessing>(std::move(preprocessing));
  LoadOptions load = LoadOptionsOf(recipe.data());
  load.data_dir = options.data_dir;
  load.threads = options.threads;
  BITGRAD_ASSIGN_OR_RETURN(train_, LoadDataset(recipe.data().name(), load));
  if (recipe.data().steps() != 0) {
    return absl::InvalidArgumentError(absl::StrCat("recipe: data.steps is ", recipe.data().steps(),
                                                   ", which is for texts alone; data set '", recipe.data().name(),
                                                   "' consists of images, leave it out"));
  }
  load.split = Split::kTest;
  BITGRAD_ASSIGN_OR_RETURN(test_, LoadDataset(recipe.data().name(), load));
  BITGRAD_RETURN_IF_ERROR(CheckSameKind(train_, test_));
  const int64_t validation = recipe.data().validation_examples();
  const bool spread = recipe.data().validation() == recipe::DataSet::SPREAD;
  BITGRAD_ASSIGN_OR_RETURN(parts_, spread ? SplitSpread(validation, train_) : SplitLast(train_, validation));
  BITGRAD_RETURN_IF_ERROR(CheckTrainingClasses(train_, parts_.train));
  BITGRAD_ASSIGN_OR_RETURN(Augmentation augmentation, ParseAugmentation(Strings(recipe.data().augmentation())));
  BITGRAD_ASSIGN_OR_RETURN(BatchLoader loader, BatchLoader::Create(train_, parts_.train,
                                                                   {.batch_size = batch_size_,
                                                                    .shuffle = true,
                                                                    .drop_last = true,
                                                                    .seed = recipe.seed(),
                                                                    .workers = options.workers,
                                                                    .augmentation = std::move(augmentation),
                                                                    .preprocessing = preprocessing_}));
  loader_ = std::make_unique<BatchLoader>(std::move(loader));
  BITGRAD_ASSIGN_OR_RETURN(validation_, EvaluationLoader(train_, parts_.validation, preprocessing_));
  BITGRAD_ASSIGN_OR_RETURN(test_loader_, EvaluationLoader(test_, AllExamples(test_), preprocessing_));
  BITGRAD_RETURN_IF_ERROR(preprocessing_->SetShape(train_.image_shape()));
  BITGRAD_ASSIGN_OR_RETURN(training_data_, FingerprintOf(train_));
  BITGRAD_ASSIGN_OR_RETURN(test_data_, FingerprintOf(test_));
  return absl::OkStatus();
}

std::unique_ptr<Task> ImageTrainingData::TaskOf(const recipe::Recipe& recipe) const {
  return Classification({.features = train_.features(),
                         .classes = train_.num_classes,
                         .loss = recipe.loss(),
                         .loss_scale = recipe.has_loss_scale() ? recipe.loss_scale() : 1.0f});
}

absl::Status ImageTrainingData::Fit(int threads, std::FILE* log) {
  if (preprocessing_->learned().empty()) return absl::OkStatus();
  const auto start = std::chrono::steady_clock::now();
  BITGRAD_RETURN_IF_ERROR(preprocessing_->Fit(train_, parts_.train, threads));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  absl::FPrintF(log, "preprocessing (%s) fitted to %d images in %.1f s\n", absl::StrJoin(steps_, ", "),
                parts_.train.size(), seconds.count());
  std::fflush(log);
  return absl::OkStatus();
}

void ImageTrainingData::Describe(checkpoint::Header& header) const {
  header.set_features(train_.features());
  header.set_classes(train_.num_classes);
  const ImageShape image = train_.image_shape();
  for (const int64_t extent : {image.height, image.width, image.channels}) header.add_image_shape(extent);
  *header.mutable_training_data() = training_data_;
  *header.mutable_test_data() = test_data_;
  for (const std::string& name : train_.class_names) header.add_class_names(name);
}

absl::Status ImageTrainingData::CheckSame(const Checkpoint& checkpoint) const {
  const checkpoint::Header& header = checkpoint.header();
  // Old checkpoints know no more than this.
  BITGRAD_RETURN_IF_ERROR(CheckKindOfData(absl::StrCat("checkpoint '", checkpoint.path(), "'"), ImageShapeOf(header),
                                          header.classes(), Strings(header.class_names()), train_));
  if (header.has_training_data()) {
    BITGRAD_RETURN_IF_ERROR(
        CheckSameFingerprint(checkpoint.path(), "training", header.training_data(), training_data_));
  }
  if (!header.has_test_data()) return absl::OkStatus();
  return CheckSameFingerprint(checkpoint.path(), "test", header.test_data(), test_data_);
}

void ImageTrainingData::Print(std::FILE* log) const {
  absl::FPrintF(log, "%s %s\n%s %s\n", train_.summary, ChecksumsOf(training_data_), test_.summary,
                ChecksumsOf(test_data_));
  for (const std::string& warning : SplitWarnings(train_, parts_, test_)) absl::FPrintF(log, "warning: %s\n", warning);
  if (!train_.class_names.empty()) absl::FPrintF(log, "classes: %s\n", ListOfClassNames(train_.class_names));
  std::fflush(log);
}

absl::optional<diagnostics::Picture> ImageTrainingData::PictureOf(int64_t example) const {
  const Dataset& data = validation_ != nullptr ? train_ : test_;
  const ExampleRange range = validation_ != nullptr ? parts_.validation : AllExamples(test_);
  const ImageShape shape = data.image_shape();
  if (example < 0 || example >= range.size() || (shape.channels != 1 && shape.channels != 3)) return absl::nullopt;
  std::vector<uint8_t> buffer;
  const int64_t index = range.begin + example;
  const auto pixels = data.Pixels({index, index + 1}, /*threads=*/1, buffer);
  if (!pixels.ok()) return absl::nullopt;
  diagnostics::Picture picture;
  picture.set_height(static_cast<int32_t>(shape.height));
  picture.set_width(static_cast<int32_t>(shape.width));
  picture.set_channels(static_cast<int32_t>(shape.channels));
  picture.set_pixels(pixels->data, static_cast<size_t>(pixels->cols));
  return picture;
}

DataMemory ImageTrainingData::memory() const {
  DataMemory memory = {.name = "images", .held = BytesOf(train_) + BytesOf(test_)};
  memory.evaluated = std::min(kEvaluationBatch, std::max(test_.size(), parts_.validation.size()));
  memory.batch =
      static_cast<int64_t>(sizeof(float)) * train_.features() * std::max<int64_t>(memory.evaluated, batch_size_);
  return memory;
}

}  // namespace bitgrad
