#include "bitgrad/models/training/trainer.h"

#include <chrono>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/loss.h"
#include "bitgrad/models/training/norm_reestimation.h"

namespace bitgrad {
namespace {

double Seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

Trainer::Trainer(const recipe::Recipe& recipe, const TrainOptions& options)
    : recipe_(recipe),
      options_(options),
      context_({.device = options.device, .threads = options.threads, .seed = recipe.seed()}),
      metrics_(options.metrics_file),
      bar_(options.log) {}

double Trainer::LearningRate(int epoch, int64_t batch) const {
  return schedule_->At(epoch, static_cast<double>(batch) / static_cast<double>(loader_->batches_per_epoch()));
}

// Waits for the earliest unfinished step, which is that of the next batch of the progress, and adds up what it has
// measured.
absl::Status Trainer::FinishStep(int epoch) {
  checkpoint::Progress& progress = *state_.mutable_progress();
  const absl::StatusOr<StepResult> result = step_->Finish();
  if (!result.ok()) {
    return absl::IsOutOfRange(result.status()) ? ExplainDivergence(epoch, progress.batches_done(), result.status())
                                               : result.status();
  }
  if (!memory_reported_) ReportMemory();
  AddStep(result->loss, result->errors, recipe_.batch_size(), result->observations, *bundle_.store,
          *progress.mutable_partial());
  progress.set_batches_done(progress.batches_done() + 1);
  return absl::OkStatus();
}

absl::Status Trainer::RunEpoch(int epoch) {
  checkpoint::Progress& progress = *state_.mutable_progress();
  checkpoint::PartialSums& sums = *progress.mutable_partial();
  const double start = Seconds() - sums.seconds();
  const std::string label = absl::StrCat("epoch ", epoch + 1, "/", recipe_.epochs());

  const double begin = Seconds();
  EpochBatches batches = loader_->Epoch(epoch, progress.batches_done());
  // On a GPU the next step is enqueued before the last one is waited for.
  const int ahead = context_.device() == Device::kCpu ? 0 : 1;
  for (const Batch& batch : batches) {
    BITGRAD_RETURN_IF_ERROR(step_->Enqueue(batch.images, batch.labels, LearningRate(epoch, batch.index)));
    while (step_->unfinished() > ahead) BITGRAD_RETURN_IF_ERROR(FinishStep(epoch));
    const bool interrupted = InterruptGuard::interrupted();
    if (interrupted || batch.index + 1 == loader_->batches_per_epoch()) {
      while (step_->unfinished() > 0) BITGRAD_RETURN_IF_ERROR(FinishStep(epoch));
    }
    sums.set_seconds(Seconds() - start);
    if (sums.examples() == 0) continue;

    const double rate = static_cast<double>(sums.examples()) / sums.seconds();
    const double left =
        static_cast<double>(loader_->examples_per_epoch()) * static_cast<double>(recipe_.epochs() - epoch) / rate -
        sums.seconds();
    bar_.Update({.label = label,
                 .done = progress.batches_done(),
                 .total = loader_->batches_per_epoch(),
                 .loss = sums.loss_sum() / static_cast<double>(sums.examples()),
                 .examples_per_second = rate,
                 .data_wait = batches.seconds_waited() / (Seconds() - begin),
                 .seconds_left = left});
    if (interrupted) return Interrupted(epoch);
  }
  bar_.Clear();
  return batches.status();
}

absl::Status Trainer::Interrupted(int epoch) {
  // First of all: who watches the bar may be gone.
  BITGRAD_RETURN_IF_ERROR(SaveLatest());
  bar_.Clear();
  return absl::CancelledError(absl::StrCat("interrupted in epoch ", epoch + 1, " after ",
                                           state_.progress().batches_done(), " batches; the state is in '",
                                           folder_->checkpoint_path(), "'; continue with: ", ResumeCommand()));
}

// Evaluates the model, and writes the checkpoints of the epoch.
absl::Status Trainer::FinishEpoch(int epoch) {
  checkpoint::Progress& progress = *state_.mutable_progress();
  checkpoint::EpochMetrics metrics = Summarize(progress.partial());
  metrics.set_epoch(epoch + 1);
  metrics.set_learning_rate(LearningRate(epoch, loader_->batches_per_epoch() - 1));
  const auto error_rate = [&](const Dataset& dataset, const ExampleRange& range) {
    return ErrorRate(context_, *bundle_.model, dataset, range, preprocessing_, InterruptGuard::interrupted);
  };
  // Cancelled means that the user wants to stop. All batches of the epoch are done, and what follows them is not: a
  // resumed run begins with the estimation of statistics.
  const absl::Status estimated = ReestimateNorms(context_, *bundle_.model, *bundle_.store, *loader_, epoch,
                                                 reestimate_batches_, InterruptGuard::interrupted);
  if (absl::IsCancelled(estimated)) return Interrupted(epoch);
  if (!estimated.ok()) return estimated;
  absl::StatusOr<double> valid_error = error_rate(train_, parts_.validation);
  absl::StatusOr<double> test_error = valid_error.ok() ? error_rate(test_, AllExamples(test_)) : valid_error;
  if (absl::IsCancelled(test_error.status())) return Interrupted(epoch);
  if (!test_error.ok()) return test_error.status();
  const double valid = *valid_error;
  metrics.set_valid_error(valid);
  metrics.set_test_error(*test_error);

  progress.set_epoch(epoch + 1);
  progress.set_batches_done(0);
  progress.clear_partial();
  *state_.add_epochs() = metrics;
  // Without validation examples (valid is NaN) the last epoch counts.
  if (progress.best_epoch() == 0 || best_is_lost_ || !(valid > progress.best_valid_error())) {
    progress.set_best_epoch(epoch + 1);
    progress.set_best_valid_error(valid);
    state_.set_random_step(context_.step());
    BITGRAD_RETURN_IF_ERROR(
        WriteCheckpoint(context_, folder_->best_path(), state_, *bundle_.store, nullptr, *preprocessing_));
    best_is_lost_ = false;
  }
  BITGRAD_RETURN_IF_ERROR(SaveLatest());
  absl::FPrintF(options_.log, "%s", FormatEpoch(metrics, recipe_.epochs()));
  std::fflush(options_.log);
  return metrics_.Append(metrics);
}

absl::StatusOr<TrainResult> Trainer::Run() {
  BITGRAD_RETURN_IF_ERROR(metrics_.Begin(state_.epochs()));
  if (state_.progress().epoch() < recipe_.epochs()) BITGRAD_RETURN_IF_ERROR(PredictMemory());
  const InterruptGuard::Deferral deferral;
  for (int epoch = state_.progress().epoch(); epoch < recipe_.epochs(); ++epoch) {
    BITGRAD_RETURN_IF_ERROR(RunEpoch(epoch));
    BITGRAD_RETURN_IF_ERROR(FinishEpoch(epoch));
  }
  TrainResult result;
  result.epochs = recipe_.epochs();
  result.checkpoint = folder_->best_path();
  result.best = state_.epochs(state_.progress().best_epoch() - 1);
  return result;
}

absl::Status Trainer::SaveLatest() {
  state_.set_random_step(context_.step());
  return WriteCheckpoint(context_, folder_->checkpoint_path(), state_, *bundle_.store, optimizer_.get(),
                         *preprocessing_);
}

// Runs the batch forward once more and looks at every value, to name the first layer that is not finite.
absl::Status Trainer::ExplainDivergence(int epoch, int64_t batch, const absl::Status& error) {
  bar_.Clear();
  Tape tape(context_);
  tape.set_check_finite(true);
  EpochBatches again = loader_->Epoch(epoch, batch);
  const Batch* const diverged = again.Next();
  if (diverged == nullptr) return again.status();
  const Var logits = bundle_.model->Forward(tape.Input(ToDevice(context_, diverged->images)));
  ApplyLoss(recipe_.loss(), logits, diverged->labels);
  return absl::OutOfRangeError(absl::StrCat(
      "training stopped in epoch ", epoch + 1, ", batch ", batch + 1, ": ", error.message(),
      tape.status().ok() ? "" : absl::StrCat(" (", tape.status().message(), ")"), "; ",
      epoch == 0
          ? "no checkpoint was written yet"
          : absl::StrCat("the last good checkpoint, of epoch ", epoch, ", is '", folder_->checkpoint_path(), "'"),
      "; lower optimizer.learning_rate or set optimizer.max_gradient_norm"));
}

}  // namespace bitgrad
