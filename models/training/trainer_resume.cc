// How a Trainer resumes a run: what its checkpoint must have in common with the recipe and the data, and what is
// restored.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/shell_quote.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/check_recipe.h"
#include "bitgrad/models/training/resume_fields.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/optim/schedule.h"

namespace bitgrad {
namespace {

// The learning rate with which an epoch begins.
absl::StatusOr<double> LearningRateOf(const recipe::Recipe& recipe, int epoch) {
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<RecipePhase> phases, PhasesOf(recipe));
  const RecipePhase& phase = phases[static_cast<size_t>(PhaseAt(phases, epoch))];
  BITGRAD_ASSIGN_OR_RETURN(const Schedule schedule, ScheduleOf(phase));
  return schedule.At(epoch - phase.begin);
}

// Whether the checkpoint has nothing but the values that a run begins with, as after export/checkpoint_weights.h: the
// learner then begins as it was made. A run itself writes none before its first step.
bool BeforeFirstStep(const checkpoint::Header& header) {
  return header.progress().epoch() == 0 && header.progress().batches_done() == 0 && header.optimizer_steps() == 0 &&
         header.optimizer_state().empty();
}

}  // namespace

// Opens the checkpoint and compares its recipe with the run's.
absl::StatusOr<Checkpoint> Trainer::OpenCheckpoint() {
  BITGRAD_ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::Open(folder_->checkpoint_path()));
  const recipe::Recipe& before = checkpoint.header().recipe();
  const absl::StatusOr<std::vector<std::string>> changes = ChangesOnResume(before, recipe_);
  if (!changes.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint '", checkpoint.path(), "' is of another recipe: ", changes.status().message()));
  }
  const checkpoint::Progress& progress = checkpoint.header().progress();
  const int begun = progress.epoch() + (progress.batches_done() > 0 ? 1 : 0);
  if (recipe_.epochs() < begun) {
    return absl::FailedPreconditionError(absl::StrCat("the run of checkpoint '", checkpoint.path(),
                                                      "' has begun its epoch ", begun, ", so it cannot have ",
                                                      recipe_.epochs(), " epochs in all; ask for more (--epochs)"));
  }
  if (const absl::Status same = CheckSamePhases(before, recipe_, begun); !same.ok()) {
    return absl::Status(same.code(), absl::StrCat("checkpoint '", checkpoint.path(), "': ", same.message()));
  }
  for (const std::string& change : *changes) absl::FPrintF(options_.log, "resumed with a change: %s\n", change);
  return checkpoint;
}

// Whether the counts of steps are those of a run on this data.
absl::Status Trainer::CheckSteps(const Checkpoint& checkpoint) const {
  const checkpoint::Progress& progress = checkpoint.header().progress();
  const int64_t per_epoch = data_->training().batches_per_epoch();
  const int64_t steps = progress.epoch() * per_epoch + progress.batches_done();
  const int64_t optimizer_steps = checkpoint.header().optimizer_steps();
  // A best.bgc has no optimizer; RestoreOptimizer() says so.
  const bool no_optimizer = optimizer_steps == 0 && checkpoint.header().optimizer_state().empty();
  if (progress.batches_done() <= per_epoch && (optimizer_steps == steps || no_optimizer)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "checkpoint '", checkpoint.path(), "' has done ", progress.epoch(), " epochs, ", progress.batches_done(),
      " batches and ", optimizer_steps, " steps, but an epoch of this data has ", per_epoch,
      " batches; resume with the data that it had (--data_dir), or begin a new run with another --out"));
}

absl::Status Trainer::Restore(const Checkpoint& checkpoint) {
  if (!BeforeFirstStep(checkpoint.header())) {
    BITGRAD_RETURN_IF_ERROR(
        checkpoint.RestoreLearner([this](const LearnerState& state) { return learner_->Restore(state); }));
  }
  BITGRAD_RETURN_IF_ERROR(data_->Restore(checkpoint));
  const checkpoint::Header& header = checkpoint.header();
  *state_.mutable_progress() = header.progress();
  *state_.mutable_epochs() = header.epochs();
  state_.set_random_step(header.random_step());
  context_.set_step(header.random_step());
  return CheckBest();
}

// A run that was moved without its best.bgc goes on: the next epoch is then the best one so far. If there is no next
// epoch, there would be no model to name in the end.
absl::Status Trainer::CheckBest() {
  const checkpoint::Progress& progress = state_.progress();
  if (progress.best_epoch() == 0) return absl::OkStatus();
  const absl::Status best = Checkpoint::Open(folder_->best_path()).status();
  // Where it can only not be read now, as for want of memory, it must not be replaced.
  if (!absl::IsNotFound(best) && !absl::IsDataLoss(best) && !absl::IsInvalidArgument(best)) return best;
  if (progress.epoch() == recipe_.epochs()) {
    return absl::FailedPreconditionError(absl::StrCat("the run is finished, but its best model, of epoch ",
                                                      progress.best_epoch(), ", is lost: ", best.message(),
                                                      "; restore the file, or train for longer (--epochs)"));
  }
  absl::FPrintF(options_.log,
                "warning: the best model so far, of epoch %d, is lost (%s); the next epoch's takes its place\n",
                progress.best_epoch(), best.message());
  best_is_lost_ = true;
  return absl::OkStatus();
}

// Says where the run stands, and how its learning rate goes on where another number of epochs changes it.
void Trainer::PrintResumed(const checkpoint::Header& header) {
  const checkpoint::Progress& progress = header.progress();
  const int next = progress.epoch();
  if (next == recipe_.epochs()) {
    absl::FPrintF(options_.log, "the run is finished: it has done its %d epochs; --epochs=N trains it for longer\n",
                  next);
  } else {
    absl::FPrintF(options_.log, "resumed: %d of %d epochs are done, and %d batches of the next\n", next,
                  recipe_.epochs(), progress.batches_done());
    const absl::StatusOr<double> before = LearningRateOf(header.recipe(), next), now = LearningRateOf(recipe_, next);
    if (before.ok() && now.ok() && header.recipe().epochs() != recipe_.epochs() && *before != *now) {
      absl::FPrintF(options_.log,
                    "schedule '%s' spreads over all %d epochs: the learning rate goes on with %.3g, where a run of %d "
                    "epochs has %.3g\n",
                    recipe_.schedule().name(), recipe_.epochs(), *now, header.recipe().epochs(), *before);
    }
  }
  std::fflush(options_.log);
}

std::string Trainer::ResumeCommand() const {
  std::string command = absl::StrCat(options_.command, " --resume --out=", ShellQuoted(folder_->path()));
  if (!options_.data_dir.empty()) absl::StrAppend(&command, " --data_dir=", ShellQuoted(options_.data_dir));
  if (!options_.metrics_file.empty()) absl::StrAppend(&command, " --metrics=", ShellQuoted(options_.metrics_file));
  if (options_.count_arithmetic) absl::StrAppend(&command, " --count_arithmetic");
  if (options_.device != Device::kCpu) absl::StrAppend(&command, " --device=", Name(options_.device));
  // The float GEMM may round differently with another number of threads.
  if (options_.threads != 0) absl::StrAppend(&command, " --threads=", options_.threads);
  if (options_.data_workers != 1) absl::StrAppend(&command, " --data_workers=", options_.data_workers);
  return command;
}

}  // namespace bitgrad
