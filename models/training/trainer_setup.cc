// How a Trainer begins: its folder, data, model and optimizer. Resuming is in trainer_resume.cc.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/optional.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/models/training/check_recipe.h"
#include "bitgrad/models/training/coordinate_descent.h"
#include "bitgrad/models/training/gradient_descent.h"
#include "bitgrad/models/training/norm_reestimation.h"
#include "bitgrad/models/training/recipe_optimizer.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const recipe::Recipe& recipe, const TrainOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckRecipeFields(recipe));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(options.device));
  std::unique_ptr<Trainer> trainer(new Trainer(recipe, options));
  BITGRAD_RETURN_IF_ERROR(trainer->Load());
  return trainer;
}

absl::Status Trainer::Load() {
  // Whatever can be wrong without the data is found before it is read.
  BITGRAD_RETURN_IF_ERROR(CheckThreads(context_.threads() + options_.data_workers));
  BITGRAD_ASSIGN_OR_RETURN(phases_, PhasesOf(recipe_));
  if (recipe_.has_coordinate_descent() && options_.count_arithmetic) {
    return absl::InvalidArgumentError(
        "--count_arithmetic counts the steps of gradient descent; coordinate descent has none, leave it out");
  }
  BITGRAD_RETURN_IF_ERROR(OpenFolder());
  BITGRAD_RETURN_IF_ERROR(CheckMetricsFile());
  absl::optional<Checkpoint> checkpoint;
  if (options_.resume) {
    BITGRAD_ASSIGN_OR_RETURN(checkpoint, OpenCheckpoint());
  }
  phase_ = checkpoint.has_value() ? PhaseOf(phases_, checkpoint->header().progress()) : PhaseAt(phases_, 0);
  if (!recipe_.has_coordinate_descent()) {
    BITGRAD_ASSIGN_OR_RETURN(optimizer_,
                             OptimizerOf(phases_[static_cast<size_t>(phase_)].recipe.optimizer(), context_));
  }

  BITGRAD_RETURN_IF_ERROR(LoadData());
  BITGRAD_RETURN_IF_ERROR(CheckModelMemory());
  const DataKind kind = data_->kind();
  if (checkpoint.has_value()) {
    BITGRAD_RETURN_IF_ERROR(data_->CheckSame(*checkpoint));
    BITGRAD_RETURN_IF_ERROR(CheckSteps(*checkpoint));
    BITGRAD_ASSIGN_OR_RETURN(bundle_, RestoreModel(recipe_, kind.image, kind.classes, *checkpoint));
  } else {
    BITGRAD_ASSIGN_OR_RETURN(bundle_, MakeModel(recipe_, kind.image, kind.classes));
  }
  BITGRAD_RETURN_IF_ERROR(
      CheckPhaseModels(recipe_, phases_, static_cast<size_t>(phase_), *bundle_.store, *data_, context_.threads()));
  MoveToDevice(context_, *bundle_.store);
  BITGRAD_RETURN_IF_ERROR(MakeLearner());
  if (checkpoint.has_value()) {
    BITGRAD_RETURN_IF_ERROR(Restore(*checkpoint));
    PrintResumed(checkpoint->header());
  } else {
    BITGRAD_RETURN_IF_ERROR(data_->Fit(context_.threads(), options_.log));
  }
  return absl::OkStatus();
}

// For the model and the optimizer of the phase that the run is in.
absl::Status Trainer::MakeLearner() {
  const RecipePhase& phase = phases_[static_cast<size_t>(phase_)];
  task_ = data_->TaskOf(phase.recipe);
  if (recipe_.has_coordinate_descent()) return MakeCoordinateDescent();
  BITGRAD_ASSIGN_OR_RETURN(const ScalarSchedule momentum, MomentumOf(phase.recipe.optimizer()));
  BITGRAD_ASSIGN_OR_RETURN(reestimate_batches_, ReestimateBatchesOf(phase.recipe.model()));
  BITGRAD_ASSIGN_OR_RETURN(const Schedule schedule, ScheduleOf(phase));
  learner_ = std::make_unique<GradientDescent>(context_, *bundle_.model, *bundle_.store, *task_, data_->training(),
                                               *optimizer_, schedule, phase.begin, momentum);
  if (!options_.observers.empty() && context_.device() == Device::kCpu) {
    if (step_diagnostics_ == nullptr) step_diagnostics_ = std::make_unique<StepDiagnostics>(context_);
    learner_->set_step_observer(step_diagnostics_.get());
  }
  return absl::OkStatus();
}

absl::Status Trainer::MakeCoordinateDescent() {
  BITGRAD_ASSIGN_OR_RETURN(auto descent, CoordinateDescent::Create(context_, recipe_, *bundle_.model, *bundle_.store,
                                                                   data_->training(), data_->training_examples()));
  const DiscreteMlp& net = descent->net();
  absl::FPrintF(options_.log,
                "coordinate descent: %d coordinates of %d bits, %d bytes in all, 1/%.4g of the same net in double\n",
                net.coordinates(), net.bits(), net.bytes(),
                8.0 * static_cast<double>(net.coordinates()) / static_cast<double>(net.bytes()));
  std::fflush(options_.log);
  learner_ = std::move(descent);
  return absl::OkStatus();
}

absl::Status Trainer::BeginPhase(int index) {
  const RecipePhase &before = phases_[static_cast<size_t>(phase_)], &phase = phases_[static_cast<size_t>(index)];
  phase_ = index;
  PrintPhase();
  learner_ = nullptr;
  const DataKind kind = data_->kind();
  BITGRAD_ASSIGN_OR_RETURN(ModelBundle bundle, ContinueModel(phase, kind.image, kind.classes, *bundle_.store));
  bundle_ = std::move(bundle);
  if (phase.keeps_only_ranges) {
    BITGRAD_RETURN_IF_ERROR(KeepOnlyRanges(context_, phase, kind.image, kind.classes, *bundle_.store));
  }
  if (phase.hardened) BITGRAD_RETURN_IF_ERROR(bundle_.model->Harden(context_));
  // The rates of update rules are relative to the learning rate that the optimizer was made with.
  if (phase.recipe.optimizer().SerializeAsString() != before.recipe.optimizer().SerializeAsString()) {
    BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<Optimizer> next, OptimizerOf(phase.recipe.optimizer(), context_));
    BITGRAD_RETURN_IF_ERROR(next->Restore(bundle_.store->parameters(), optimizer_->state(), optimizer_->step_count()));
    optimizer_ = std::move(next);
  }
  return MakeLearner();
}

void Trainer::PrintPhase() const {
  const RecipePhase& phase = phases_[static_cast<size_t>(phase_)];
  absl::FPrintF(options_.log, "phase %d of %d, epochs %d to %d%s\n", phase_ + 1, phases_.size(), phase.begin + 1,
                phase.end, phase.changes.empty() ? "" : absl::StrCat(": ", phase.changes));
  std::fflush(options_.log);
}

absl::Status Trainer::OpenFolder() {
  const RunFolder::Use use = options_.resume           ? RunFolder::Use::kContinue
                             : options_.number_out_dir ? RunFolder::Use::kNewNumbered
                                                       : RunFolder::Use::kNew;
  BITGRAD_ASSIGN_OR_RETURN(folder_, RunFolder::Open(options_.out_dir, use));
  if (folder_->path() != options_.out_dir) {
    absl::FPrintF(options_.log, "'%s' holds another run; this one goes to '%s'\n", options_.out_dir, folder_->path());
    std::fflush(options_.log);
  }
  // A directory that cannot be written to is found now, not after the first epoch. The file is given up at once.
  return AtomicFile::Create(folder_->checkpoint_path()).status();
}

// The metrics of another run, or a file that is something else, are not written over.
absl::Status Trainer::CheckMetricsFile() const {
  const std::string& path = options_.metrics_file;
  if (path.empty()) return absl::OkStatus();
  for (const std::string& own : {folder_->checkpoint_path(), folder_->best_path()}) {
    std::error_code error;
    if (path == own || std::filesystem::equivalent(path, own, error)) {
      return absl::InvalidArgumentError(absl::StrCat("the metrics cannot go to '", path,
                                                     "', a checkpoint of the run; choose another --metrics=FILE"));
    }
  }
  // Files that are removed or replaced in the course of the run.
  for (const std::string& own :
       {DiagnosticsPath(folder_->path()), LatestPath(folder_->path()), folder_->path() + "/.lock",
        folder_->checkpoint_path() + ".tmp", folder_->best_path() + ".tmp"}) {
    std::error_code error;
    if (path == own || std::filesystem::equivalent(path, own, error)) {
      return absl::InvalidArgumentError(absl::StrCat("the metrics cannot go to '", path,
                                                     "', which the run itself uses; choose another --metrics=FILE"));
    }
  }
  BITGRAD_RETURN_IF_ERROR(metrics_.CheckReplaceable());
  std::error_code error;
  if (options_.resume || !std::filesystem::is_regular_file(path, error) ||
      std::filesystem::file_size(path, error) == 0) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the metrics cannot go to '", path, "', which another run may have written; choose another --metrics=FILE"));
}

absl::Status Trainer::LoadData() {
  BITGRAD_ASSIGN_OR_RETURN(data_, LoadTrainingData(recipe_, {.data_dir = options_.data_dir,
                                                             .threads = context_.threads(),
                                                             .workers = options_.data_workers}));
  *state_.mutable_recipe() = recipe_;
  data_->Describe(state_);
  data_->Print(options_.log);
  display_ = data_->TaskOf(recipe_)->display();
  metrics_.set_display(display_);
  return CheckPlateaus(phases_, *data_);
}

}  // namespace bitgrad
