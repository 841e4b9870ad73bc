#include "bitgrad/models/training/gradient_descent.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {

GradientDescent::GradientDescent(ExecContext& context, Model& model, ParameterStore& store, const Task& task,
                                 const BatchLoader& loader, Optimizer& optimizer, const Schedule& schedule,
                                 int64_t first_epoch, const ScalarSchedule& momentum)
    : context_(context),
      model_(model),
      store_(store),
      task_(task),
      loader_(loader),
      optimizer_(optimizer),
      schedule_(schedule),
      momentum_(momentum),
      first_epoch_(first_epoch),
      step_(context, model, task, store.parameters(), optimizer) {}

LearnerState GradientDescent::state() const {
  LearnerState state(&optimizer_);
  state.states = step_.states().states();
  return state;
}

absl::Status GradientDescent::Restore(const LearnerState& state) {
  BITGRAD_RETURN_IF_ERROR(optimizer_.Restore(store_.parameters(), state.tensors, state.steps));
  for (const NamedState& named : state.states) BITGRAD_RETURN_IF_ERROR(step_.states().Set(named.name, named.value));
  return absl::OkStatus();
}

void GradientDescent::SetResults(absl::Span<const double> results) {
  schedule_.SetResults(results.subspan(std::min(static_cast<size_t>(first_epoch_), results.size())));
}

double GradientDescent::LearningRate(int64_t epoch, int64_t batch) const {
  return schedule_.At(epoch - first_epoch_,
                      static_cast<double>(batch) / static_cast<double>(loader_.batches_per_epoch()));
}

TrainingTime GradientDescent::TimeOf(int64_t epoch, int64_t batch) const {
  return {.epoch = epoch - first_epoch_,
          .epochs = schedule_.epochs(),
          .batch = batch,
          .batches = loader_.batches_per_epoch()};
}

absl::Status GradientDescent::RunEpoch(int64_t epoch, EpochBatches& batches,
                                       absl::FunctionRef<void(const StepResult& step)> finished,
                                       absl::FunctionRef<bool()> stop) {
  const int ahead = context_.device() == Device::kCpu ? 0 : 1;
  int64_t last = 0;  // the batch that was enqueued last
  const auto finish_up_to = [&](int unfinished) -> absl::Status {
    while (step_.unfinished() > unfinished) {
      BITGRAD_RETURN_IF_ERROR(FinishStep(epoch, last + 1 - step_.unfinished(), finished));
    }
    return absl::OkStatus();
  };
  for (const Batch& batch : batches) {
    const TrainingTime time = TimeOf(epoch, batch.index);
    store_.SetScalars(context_, time);
    if (momentum_.change != ScalarChange::kConstant) optimizer_.set_momentum(momentum_.At(time));
    BITGRAD_RETURN_IF_ERROR(step_.Enqueue(batch, LearningRate(epoch, batch.index)));
    last = batch.index;
    BITGRAD_RETURN_IF_ERROR(finish_up_to(ahead));
    if (!stop()) continue;
    BITGRAD_RETURN_IF_ERROR(finish_up_to(0));
    return absl::CancelledError("training was stopped");
  }
  BITGRAD_RETURN_IF_ERROR(finish_up_to(0));
  return batches.status();
}

// Waits for the earliest unfinished step, which is that of `batch`.
absl::Status GradientDescent::FinishStep(int64_t epoch, int64_t batch,
                                         absl::FunctionRef<void(const StepResult& step)> finished) {
  const int64_t steps = optimizer_.step_count();
  const absl::StatusOr<StepResult> result = step_.Finish();
  if (result.ok()) {
    finished(*result);
    return absl::OkStatus();
  }
  // Where the step was taken all the same, the error is about what it has led to, which it names, and the forward pass
  // would be another one.
  const bool nothing_changed = optimizer_.step_count() == steps;
  return absl::IsOutOfRange(result.status()) && nothing_changed ? ExplainDivergence(epoch, batch, result.status())
                                                                : result.status();
}

// Runs the batch forward once more, as the step did that has changed nothing, and looks at every value.
absl::Status GradientDescent::ExplainDivergence(int64_t epoch, int64_t batch, const absl::Status& error) {
  EpochBatches again = loader_.Epoch(epoch, batch);
  const Batch* const diverged = again.Next();
  if (diverged == nullptr) return again.status();
  store_.SetScalars(context_, TimeOf(epoch, batch));
  context_.set_step(step_.finished_random_step() - 1);  // The tape takes the next one.
  // The steps that were enqueued behind this one have left states, too.
  step_.states().Restore(1 + step_.unfinished());
  Tape tape(context_);
  tape.set_states(&step_.states());
  tape.set_check_finite(true);
  RecordObjective(task_, model_, tape, ToDevice(context_, *diverged));
  if (tape.status().ok()) return error;
  return absl::Status(error.code(), absl::StrCat(error.message(), " (", tape.status().message(), ")"));
}

}  // namespace bitgrad
