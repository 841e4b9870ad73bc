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

// Takes in what the earliest unfinished step, the next batch of the progress, has measured.
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

absl::Status Trainer::RunEpoch(int epoch, const InterruptGuard& interrupt) {
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
    const bool interrupted = interrupt.interrupted();
    if (interrupted || batch.index + 1 == loader_->batches_per_epoch()) {
      while (step_->unfinished() > 0) BITGRAD_RETURN_IF_ERROR(FinishStep(epoch));
    }
    sums.set_seconds(Seconds() - start);
    if (sums.examples() == 0) continue;

    const double rate = static_cast<double>(sums.examples()) / sums.seconds();
    const double left =
        static_cast<double>(loader_->examples_per_epoch()) * static_cast<double>(recipe_.epochs() - epoch) / rate -
        sums.seconds();
    bar_.Update(label, progress.batches_done(), loader_->batches_per_epoch(),
                sums.loss_sum() / static_cast<double>(sums.examples()), rate,
                batches.seconds_waited() / (Seconds() - begin), left);
    if (interrupted) {
      bar_.Clear();
      BITGRAD_RETURN_IF_ERROR(SaveLatest());
      return absl::CancelledError(absl::StrCat("interrupted in epoch ", epoch + 1, " after ", progress.batches_done(),
                                               " batches; the state is in '", LatestPath(),
                                               "'; continue with --resume --out=", options_.out_dir));
    }
  }
  bar_.Clear();
  return absl::OkStatus();
}

// Validation and test errors, the best epoch, checkpoints.
absl::Status Trainer::FinishEpoch(int epoch) {
  checkpoint::Progress& progress = *state_.mutable_progress();
  checkpoint::EpochMetrics metrics = Summarize(progress.partial());
  metrics.set_epoch(epoch + 1);
  metrics.set_learning_rate(LearningRate(epoch, loader_->batches_per_epoch() - 1));
  BITGRAD_RETURN_IF_ERROR(
      ReestimateNorms(context_, *bundle_.model, *bundle_.store, *loader_, epoch, reestimate_batches_));
  BITGRAD_ASSIGN_OR_RETURN(const double valid,
                           ErrorRate(context_, *bundle_.model, train_, parts_.validation, preprocessing_));
  BITGRAD_ASSIGN_OR_RETURN(const double test,
                           ErrorRate(context_, *bundle_.model, test_, AllExamples(test_), preprocessing_));
  metrics.set_valid_error(valid);
  metrics.set_test_error(test);

  progress.set_epoch(epoch + 1);
  progress.set_batches_done(0);
  progress.clear_partial();
  *state_.add_epochs() = metrics;
  // Without validation examples (valid is NaN) the last epoch counts.
  if (progress.best_epoch() == 0 || !(valid > progress.best_valid_error())) {
    progress.set_best_epoch(epoch + 1);
    progress.set_best_valid_error(valid);
    state_.set_random_step(context_.step());
    BITGRAD_RETURN_IF_ERROR(WriteCheckpoint(context_, BestPath(), state_, *bundle_.store, nullptr, *preprocessing_));
  }
  BITGRAD_RETURN_IF_ERROR(SaveLatest());
  absl::FPrintF(options_.log, "%s", FormatEpoch(metrics, recipe_.epochs()));
  std::fflush(options_.log);
  return metrics_.Append(metrics);
}

absl::StatusOr<TrainResult> Trainer::Run() {
  const InterruptGuard interrupt;
  BITGRAD_RETURN_IF_ERROR(metrics_.Begin(state_.epochs()));
  if (state_.progress().epoch() < recipe_.epochs()) BITGRAD_RETURN_IF_ERROR(PredictMemory());
  for (int epoch = state_.progress().epoch(); epoch < recipe_.epochs(); ++epoch) {
    BITGRAD_RETURN_IF_ERROR(RunEpoch(epoch, interrupt));
    BITGRAD_RETURN_IF_ERROR(FinishEpoch(epoch));
  }
  TrainResult result;
  result.epochs = recipe_.epochs();
  result.checkpoint = BestPath();
  result.best = state_.epochs(state_.progress().best_epoch() - 1);
  return result;
}

absl::Status Trainer::SaveLatest() {
  state_.set_random_step(context_.step());
  return WriteCheckpoint(context_, LatestPath(), state_, *bundle_.store, optimizer_.get(), *preprocessing_);
}

// Runs the batch forward once more and looks at every value, to name the first layer that is not finite.
absl::Status Trainer::ExplainDivergence(int epoch, int64_t batch, const absl::Status& error) {
  bar_.Clear();
  Tape tape(context_);
  tape.set_check_finite(true);
  EpochBatches again = loader_->Epoch(epoch, batch);
  const Batch& diverged = *again.Next();
  const Var logits = bundle_.model->Forward(tape.Input(ToDevice(context_, diverged.images)));
  ApplyLoss(recipe_.loss(), logits, diverged.labels);
  return absl::OutOfRangeError(
      absl::StrCat("training stopped in epoch ", epoch + 1, ", batch ", batch + 1, ": ", error.message(),
                   tape.status().ok() ? "" : absl::StrCat(" (", tape.status().message(), ")"), "; ",
                   epoch == 0 ? "no checkpoint was written yet"
                              : absl::StrCat("the last good checkpoint, of epoch ", epoch, ", is '", LatestPath(), "'"),
                   "; lower optimizer.learning_rate or set optimizer.max_gradient_norm"));
}

}  // namespace bitgrad
