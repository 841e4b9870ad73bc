// GradientDescent: the learner that takes a step of an optimizer for each batch, with a learning rate that follows a
// schedule.

#ifndef BITGRAD_MODELS_TRAINING_GRADIENT_DESCENT_H_
#define BITGRAD_MODELS_TRAINING_GRADIENT_DESCENT_H_

#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scheduled_scalar.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/learner.h"
#include "bitgrad/models/training/task.h"
#include "bitgrad/models/training/training_step.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/schedule.h"

namespace bitgrad {

class GradientDescent final : public Learner {
 public:
  // Beside the learning rate, the numbers of the model that have schedules (ParameterStore::SetScalars) and the
  // momentum are set before each step; a constant momentum is left as the optimizer has it. All spread over the
  // schedule's epochs, of which `first_epoch` is the first. REQUIRES: all that is given outlives this object; `store`
  // has the model's parameters, on the context's device; `loader` is the one whose batches RunEpoch() gets.
  GradientDescent(ExecContext& context, Model& model, ParameterStore& store, const Task& task,
                  const BatchLoader& loader, Optimizer& optimizer, const Schedule& schedule, int64_t first_epoch = 0,
                  const ScalarSchedule& momentum = {});

  // On a GPU the next step is enqueued before the last one is waited for. Where a loss or a gradient is not finite, the
  // step is run forward once more, with the random numbers and the states that it had, and the error names the first
  // value that is not finite.
  absl::Status RunEpoch(int64_t epoch, EpochBatches& batches, absl::FunctionRef<void(const StepResult& step)> finished,
                        absl::FunctionRef<bool()> stop) override;
  LearnerState state() const override;
  absl::Status Restore(const LearnerState& state) override;
  void SetResults(absl::Span<const double> results) override;
  double LearningRate(int64_t epoch, int64_t batch) const override;
  size_t peak_bytes() const override { return step_.peak_bytes(); }
  void set_step_observer(StepObserver* observer) override { step_.set_observer(observer); }

 private:
  TrainingTime TimeOf(int64_t epoch, int64_t batch) const;
  absl::Status FinishStep(int64_t epoch, int64_t batch, absl::FunctionRef<void(const StepResult& step)> finished);
  absl::Status ExplainDivergence(int64_t epoch, int64_t batch, const absl::Status& error);

  ExecContext& context_;
  Model& model_;
  ParameterStore& store_;
  const Task& task_;
  const BatchLoader& loader_;
  Optimizer& optimizer_;
  Schedule schedule_;
  const ScalarSchedule momentum_;
  const int64_t first_epoch_;
  TrainingStep step_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_GRADIENT_DESCENT_H_
