// Trainer's beginning: data, model, optimizer, resume.

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/file_error.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/data/augmentation.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/loss.h"
#include "bitgrad/models/training/norm_reestimation.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/optim/optimizers.h"
#include "google/protobuf/util/message_differencer.h"

namespace bitgrad {
namespace {

std::vector<std::string> Strings(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

absl::StatusOr<std::unique_ptr<Optimizer>> OptimizerOf(const recipe::Optimizer& recipe, ExecContext& context) {
  Hyperparameters own;
  if (recipe.has_momentum()) own["momentum"] = recipe.momentum();
  if (recipe.has_nesterov()) own["nesterov"] = recipe.nesterov();
  if (recipe.has_beta1()) own["beta1"] = recipe.beta1();
  if (recipe.has_beta2()) own["beta2"] = recipe.beta2();
  if (recipe.has_epsilon()) own["epsilon"] = recipe.epsilon();
  return MakeOptimizer(context, recipe.name(),
                       {.learning_rate = recipe.learning_rate(),
                        .weight_decay = recipe.weight_decay(),
                        .glorot_scale = recipe.glorot_scale(),
                        .max_gradient_norm = recipe.max_gradient_norm()},
                       own);
}

absl::StatusOr<Schedule> ScheduleOf(const recipe::Recipe& recipe) {
  const recipe::Schedule& schedule = recipe.schedule();
  ScheduleOptions options;
  if (!schedule.name().empty()) options.name = schedule.name();
  options.learning_rate = recipe.optimizer().learning_rate();
  options.final_learning_rate = schedule.final_learning_rate();
  if (schedule.has_step_factor()) options.step_factor = schedule.step_factor();
  options.step_epochs = schedule.step_epochs();
  options.warmup_epochs = schedule.warmup_epochs();
  if (schedule.has_warmup_start_factor()) options.warmup_start_factor = schedule.warmup_start_factor();
  return MakeSchedule(options, recipe.epochs());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const recipe::Recipe& recipe, const TrainOptions& options) {
  BITGRAD_RETURN_IF_ERROR(ValidateRecipe(recipe));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(options.device));
  std::unique_ptr<Trainer> trainer(new Trainer(recipe, options));
  BITGRAD_RETURN_IF_ERROR(trainer->Load());
  return trainer;
}

absl::Status Trainer::Load() {
  // Whatever can be wrong without the data is found before it is read.
  BITGRAD_RETURN_IF_ERROR(CheckThreads(context_.threads() + options_.data_workers));
  BITGRAD_ASSIGN_OR_RETURN(optimizer_, OptimizerOf(recipe_.optimizer(), context_));
  BITGRAD_ASSIGN_OR_RETURN(Schedule schedule, ScheduleOf(recipe_));
  schedule_ = std::make_unique<Schedule>(schedule);
  BITGRAD_ASSIGN_OR_RETURN(Augmentation augmentation, ParseAugmentation(Strings(recipe_.data().augmentation())));
  BITGRAD_ASSIGN_OR_RETURN(Preprocessing preprocessing, ParsePreprocessing(Strings(recipe_.data().preprocessing())));
  preprocessing_ = std::make_shared<Preprocessing>(std::move(preprocessing));

  BITGRAD_ASSIGN_OR_RETURN(reestimate_batches_, ReestimateBatchesOf(recipe_.model()));

  LoadOptions load{.data_dir = options_.data_dir,
                   .split = Split::kTrain,
                   .threads = context_.threads(),
                   .limit = recipe_.data().limit(),
                   .image_size = recipe_.data().image_size()};
  BITGRAD_ASSIGN_OR_RETURN(train_, LoadDataset(recipe_.data().name(), load));
  load.split = Split::kTest;
  BITGRAD_ASSIGN_OR_RETURN(test_, LoadDataset(recipe_.data().name(), load));
  BITGRAD_ASSIGN_OR_RETURN(parts_, SplitLast(train_, recipe_.data().validation_examples()));
  BITGRAD_ASSIGN_OR_RETURN(BatchLoader loader, BatchLoader::Create(train_, parts_.train,
                                                                   {.batch_size = recipe_.batch_size(),
                                                                    .shuffle = true,
                                                                    .drop_last = true,
                                                                    .seed = recipe_.seed(),
                                                                    .workers = options_.data_workers,
                                                                    .augmentation = std::move(augmentation),
                                                                    .preprocessing = preprocessing_}));
  loader_ = std::make_unique<BatchLoader>(std::move(loader));
  BITGRAD_RETURN_IF_ERROR(preprocessing_->SetShape(train_.image_shape()));
  BITGRAD_RETURN_IF_ERROR(CheckModelMemory());
  BITGRAD_ASSIGN_OR_RETURN(bundle_, MakeModel(recipe_, train_.image_shape(), train_.num_classes));

  std::error_code error;
  std::filesystem::create_directories(options_.out_dir, error);
  if (error) return FileError("create directory", options_.out_dir, error.value());
  // A directory that cannot be written to is found now, not after the first epoch. The file is given up at once.
  BITGRAD_RETURN_IF_ERROR(AtomicFile::Create(LatestPath()).status());
  *state_.mutable_recipe() = recipe_;
  state_.set_features(train_.features());
  state_.set_classes(train_.num_classes);
  const ImageShape image = train_.image_shape();
  for (const int64_t extent : {image.height, image.width, image.channels}) {
    state_.add_image_shape(extent);
  }
  if (options_.resume) {
    BITGRAD_RETURN_IF_ERROR(Resume());
  } else {
    MoveToDevice(context_, *bundle_.store);
    FitPreprocessing();
  }
  step_ = std::make_unique<TrainingStep>(
      context_, *bundle_.model, bundle_.store->parameters(), *optimizer_,
      [this](const Var& logits, const Tensor& labels) { return ApplyLoss(recipe_.loss(), logits, labels); });
  return absl::OkStatus();
}

void Trainer::FitPreprocessing() {
  if (preprocessing_->learned().empty()) return;
  const auto start = std::chrono::steady_clock::now();
  preprocessing_->Fit(train_, parts_.train, context_.threads());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  absl::FPrintF(options_.log, "preprocessing (%s) fitted to %d images in %.1f s\n",
                absl::StrJoin(recipe_.data().preprocessing(), ", "), parts_.train.size(), seconds.count());
  std::fflush(options_.log);
}

absl::Status Trainer::Resume() {
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(LatestPath()));
  if (!google::protobuf::util::MessageDifferencer::Equals(checkpoint.header().recipe(), recipe_)) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint '", LatestPath(), "' is of another recipe than the one to resume"));
  }
  BITGRAD_RETURN_IF_ERROR(checkpoint.RestoreParameters(*bundle_.store));
  MoveToDevice(context_, *bundle_.store);
  BITGRAD_RETURN_IF_ERROR(checkpoint.RestoreOptimizer(*bundle_.store, *optimizer_));
  BITGRAD_RETURN_IF_ERROR(checkpoint.RestorePreprocessing(*preprocessing_));
  state_ = checkpoint.header();
  context_.set_step(state_.random_step());
  return absl::OkStatus();
}

}  // namespace bitgrad
