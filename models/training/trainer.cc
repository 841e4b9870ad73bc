#include "bitgrad/models/training/trainer.h"

#include <chrono>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/norm_reestimation.h"
#include "bitgrad/models/training/step_arithmetic.h"

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

absl::Status Trainer::RunEpoch(int epoch) {
  checkpoint::Progress& progress = *state_.mutable_progress();
  checkpoint::PartialSums& sums = *progress.mutable_partial();
  const double start = Seconds() - sums.seconds();
  const std::string label = absl::StrCat("epoch ", epoch + 1, "/", recipe_.epochs());

  const double begin = Seconds();
  learner_->SetResults(Results());
  EpochBatches batches = data_->training().Epoch(epoch, progress.batches_done());
  const auto finished = [&](const StepResult& step) {
    if (!memory_reported_) ReportMemory();
    AddStep(step, *bundle_.store, sums);
    if (optimizer_ == nullptr) sums.clear_layers();  // flips and clips are what an optimizer counts
    progress.set_batches_done(progress.batches_done() + 1);
    sums.set_seconds(Seconds() - start);
    const double examples = static_cast<double>(sums.examples()), rate = examples / sums.seconds();
    const double left = static_cast<double>(data_->training().examples_per_epoch()) *
                            static_cast<double>(recipe_.epochs() - epoch) / rate -
                        sums.seconds();
    bar_.Update(
        {.label = label,
         .done = progress.batches_done(),
         .total = data_->training().batches_per_epoch(),
         .loss = sums.has_metric_sum() ? Shown(display_, sums.metric_sum() / examples) : sums.loss_sum() / examples,
         .examples_per_second = rate,
         .loss_name = sums.has_metric_sum() ? KeyOf(display_) : "loss",
         .examples = ExamplesOf(display_),
         .data_wait = batches.seconds_waited() / (Seconds() - begin),
         .seconds_left = left});
  };
  learner_->set_batch_listener([&](const BatchProgress& batch) {
    const double left = static_cast<double>(batch.total - batch.done) / static_cast<double>(batch.done);
    bar_.Update({.label = label,
                 .done = batch.done,
                 .total = batch.total,
                 .loss = batch.loss,
                 .examples_per_second = batch.trials_per_second,
                 .examples = "trials",
                 .seconds_left = (Seconds() - begin) * left});
  });
  const absl::Status status = learner_->RunEpoch(epoch, batches, finished, InterruptGuard::interrupted);
  if (absl::IsCancelled(status)) return Interrupted(epoch);
  bar_.Clear();
  return absl::IsOutOfRange(status) ? Diverged(epoch, status) : status;
}

// The validation metrics of the epochs that are complete.
std::vector<double> Trainer::Results() const {
  std::vector<double> results;
  for (const checkpoint::EpochMetrics& metrics : state_.epochs()) results.push_back(metrics.valid_error());
  return results;
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
  metrics.set_learning_rate(learner_->LearningRate(epoch, data_->training().batches_per_epoch() - 1));
  // The task's first metric; NaN where there are no examples.
  const EvaluationListener answers = AnswerListener();
  const auto error_rate = [&](const BatchLoader* loader) -> absl::StatusOr<double> {
    if (loader == nullptr) return std::numeric_limits<double>::quiet_NaN();
    const bool listens = loader == (data_->validation() != nullptr ? data_->validation() : data_->test());
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<MetricSum> sums,
                             EvaluateMetrics(context_, *bundle_.model, *task_, *loader, InterruptGuard::interrupted,
                                             listens ? answers : nullptr));
    return sums[0].mean();
  };
  // Cancelled means that the user wants to stop. All batches of the epoch are done, and what follows them is not: a
  // resumed run begins with the estimation of statistics.
  const absl::Status estimated = ReestimateNorms(context_, *bundle_.model, *bundle_.store, data_->training(), epoch,
                                                 reestimate_batches_, InterruptGuard::interrupted);
  if (absl::IsCancelled(estimated)) return Interrupted(epoch);
  if (!estimated.ok()) return estimated;
  absl::StatusOr<double> valid_error = error_rate(data_->validation());
  absl::StatusOr<double> test_error = valid_error.ok() ? error_rate(data_->test()) : valid_error;
  if (absl::IsCancelled(test_error.status())) return Interrupted(epoch);
  if (!test_error.ok()) return test_error.status();
  const absl::StatusOr<double> selection = learner_->SelectionLoss(epoch, InterruptGuard::interrupted);
  if (absl::IsCancelled(selection.status())) return Interrupted(epoch);
  if (!selection.ok()) return selection.status();
  const bool by_loss = !std::isnan(*selection);
  if (by_loss) metrics.set_loss(*selection);
  const double valid = *valid_error;
  metrics.set_valid_error(valid);
  metrics.set_test_error(*test_error);
  if (bundle_.model->AnswerAsFrozen(true)) {
    const absl::StatusOr<double> hardened = error_rate(data_->test());
    bundle_.model->AnswerAsFrozen(false);
    if (absl::IsCancelled(hardened.status())) return Interrupted(epoch);
    if (!hardened.ok()) return hardened.status();
    AddValues({{"", "hardened_test_error", *hardened, ValueDisplay::kShare}}, metrics);
  }
  AddValues(bundle_.model->Report(context_), metrics);
  AddValues(learner_->Report(), metrics);
  AddArithmetic(arithmetic_, metrics);
  BITGRAD_RETURN_IF_ERROR(context_.status());

  progress.set_epoch(epoch + 1);
  progress.set_batches_done(0);
  progress.clear_partial();
  *state_.add_epochs() = metrics;
  if (IsBest(metrics, by_loss)) {
    progress.set_best_epoch(epoch + 1);
    progress.set_best_valid_error(valid);
    state_.set_random_step(context_.step());
    BITGRAD_RETURN_IF_ERROR(
        WriteCheckpoint(context_, folder_->best_path(), state_, *bundle_.store, nullptr, data_->preprocessing()));
    best_is_lost_ = false;
  }
  BITGRAD_RETURN_IF_ERROR(SaveLatest());
  absl::FPrintF(options_.log, "%s", FormatEpoch(metrics, recipe_.epochs(), display_));
  std::fflush(options_.log);
  BITGRAD_RETURN_IF_ERROR(metrics_.Append(metrics));
  return Observe(epoch);
}

// Whether the epoch, which is the last one of state_, is the best one so far; of equals the later one. Without
// validation examples (the error is NaN) the last epoch counts. What an earlier phase has led to does not.
bool Trainer::IsBest(const checkpoint::EpochMetrics& metrics, bool by_loss) const {
  const checkpoint::Progress& progress = state_.progress();
  if (progress.best_epoch() <= phases_[static_cast<size_t>(phase_)].begin || best_is_lost_) return true;
  if (by_loss) return metrics.loss() <= state_.epochs(progress.best_epoch() - 1).loss();
  return !(metrics.valid_error() > progress.best_valid_error());
}

absl::Status Trainer::CountArithmetic() {
  const ExecContext::Options options{.device = context_.device(), .threads = context_.threads()};
  BITGRAD_ASSIGN_OR_RETURN(arithmetic_, CountStep(options, *bundle_.model, *bundle_.store, *task_, *optimizer_,
                                                  recipe_.batch_size(), CountingConvention::kExecuted));
  absl::FPrintF(options_.log, "arithmetic of a step:\n%s", ArithmeticTable(arithmetic_));
  std::fflush(options_.log);
  return absl::OkStatus();
}

absl::StatusOr<TrainResult> Trainer::Run() {
  BITGRAD_RETURN_IF_ERROR(metrics_.Begin(state_.epochs()));
  if (state_.progress().epoch() < recipe_.epochs()) {
    if (options_.before_training != nullptr) {
      BITGRAD_RETURN_IF_ERROR(options_.before_training(context_, *bundle_.model, data_->example()));
    }
    BITGRAD_RETURN_IF_ERROR(PredictMemory());
    if (options_.count_arithmetic) BITGRAD_RETURN_IF_ERROR(CountArithmetic());
  }
  const InterruptGuard::Deferral deferral;
  TellObservers(/*begin=*/true);
  if (phases_.size() > 1) PrintPhase();
  for (int epoch = state_.progress().epoch(); epoch < recipe_.epochs() && !learner_->done(); ++epoch) {
    if (const int phase = PhaseAt(phases_, epoch); phase != phase_) BITGRAD_RETURN_IF_ERROR(BeginPhase(phase));
    BITGRAD_RETURN_IF_ERROR(RunEpoch(epoch));
    BITGRAD_RETURN_IF_ERROR(FinishEpoch(epoch));
  }
  TrainResult result;
  result.epochs = state_.progress().epoch();
  result.checkpoint = folder_->best_path();
  result.display = display_;
  result.best = state_.epochs(state_.progress().best_epoch() - 1);
  return result;
}

absl::Status Trainer::SaveLatest() {
  state_.set_random_step(context_.step());
  return WriteCheckpoint(context_, folder_->checkpoint_path(), state_, *bundle_.store, learner_->state(),
                         data_->preprocessing());
}

absl::Status Trainer::Diverged(int epoch, const absl::Status& error) {
  return absl::OutOfRangeError(absl::StrCat("training stopped in epoch ", epoch + 1, ", batch ",
                                            state_.progress().batches_done() + 1, ": ", error.message(), "; ",
                                            epoch == 0 ? "no checkpoint was written yet"
                                                       : absl::StrCat("the last good checkpoint, of epoch ", epoch,
                                                                      ", is '", folder_->checkpoint_path(), "'"),
                                            "; lower optimizer.learning_rate or set optimizer.max_gradient_norm"));
}

}  // namespace bitgrad
