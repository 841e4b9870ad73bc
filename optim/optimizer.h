// Optimizer: one training step over a model's parameters, from their gradients.
//
//   BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<Optimizer> optimizer,
//                            MakeAdam(context, {.common = {.learning_rate = 3e-3}}));
//   for (const Batch& batch : loader) {
//     ...
//     BITGRAD_RETURN_IF_ERROR(tape.Backward(loss));
//     optimizer->set_learning_rate(schedule.At(epoch, fraction));
//     BITGRAD_RETURN_IF_ERROR(optimizer->Step(model.parameters()));
//   }
//
// With g the gradient of a parameter w and N the norm of all gradients together:
//
//   N      = sqrt(sum of g_i^2 over all elements of all trainable parameters that have a gradient)
//   g'     = g min(1, max_gradient_norm / N) + weight_decay w       decay where Parameter::decays
//   w_new  = clip(w + s step(g'), -c, c)                            c = Parameter::clip
//
// step() is the optimizer's own: see sgd.h, adam.h, adamax.h. The decay is added to the gradient
// (an L2 penalty), after clipping, for every optimizer.
//
// s is BinaryConnect's Glorot learning-rate scale (Courbariaux et al., arXiv 1511.00363): latent
// weights of quantized layers live in [-1, 1] rather than in Glorot's range, so their steps grow by
// GlorotScale(fan_in, fan_out). It applies with `glorot_scale` to parameters that are quantized and
// have fan_in and fan_out. Adam and AdaMax, whose steps do not depend on the gradient's size, take
// it once, SGD squared.
//
// To add an optimizer: a pair like adamax.h/.cc and one line in optimizers.cc.

#ifndef BITGRAD_OPTIM_OPTIMIZER_H_
#define BITGRAD_OPTIM_OPTIMIZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/ops/kernels/kernels.h"
#include "bitgrad/optim/step_report.h"

namespace bitgrad {

// What all optimizers have. Numbers are rounded to float for the kernels, and are checked as such.
struct OptimizerOptions {
  double learning_rate = 1e-3;   // > 0
  double weight_decay = 0;       // >= 0; 0: none
  bool glorot_scale = false;     // scale the steps of quantized weights
  double max_gradient_norm = 0;  // >= 0; 0: no clipping
};

// A tensor of the optimizer's state: "adam/m/hidden1/weight". Borrowed.
struct NamedTensor {
  std::string name;
  const Tensor* tensor = nullptr;
};

// sqrt((fan_in + fan_out) / 1.5): 36.950 for 1024 -> 1024.
double GlorotScale(int64_t fan_in, int64_t fan_out);

class Optimizer {
 public:
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;
  virtual ~Optimizer() = default;

  // Updates every trainable parameter that has a gradient, writes its sign_flips and at_clip, and
  // drops the gradient, so that the next Backward() begins a new sum.
  //
  // A trainable parameter without a gradient took no part in the loss: its value and state stay as
  // they are (no decay, no momentum) and its sign_flips is 0. Parameters that are not trainable are
  // passed by.
  //
  // The first step that succeeds binds the optimizer to its parameters. Errors, after none of which anything was
  // changed:
  //   - the learning rate, rounded to float, is not a positive finite number;
  //   - no trainable parameter has a gradient (Backward() was not called since the last step);
  //   - a gradient's shape, type or device is not that of its value, or a clip is not positive;
  //   - a gradient has a NaN or an infinity: the first such parameter is named;
  //   - names, shapes, `trainable` flags or order are not those of the parameters that the optimizer is bound to;
  //   - two parameters have the same name.
  // A kernel that the device lacks, or that fails, is an error too.
  absl::Status Step(absl::Span<Parameter* const> parameters);

  // Step() in three parts, for steps that are recorded once and run many times, or whose results are read later
  // (models/training/training_step.h):
  //
  //   Begin    works on the host: it checks all that Step() checks but the gradients' values, and tells the device the
  //            learning rate and t.
  //   Enqueue  enqueues the device's work, which can be recorded (core/recorded_work.h). Gradients stay; the caller
  //            drops them. A step with a gradient that is not finite, or whose `loss` (on the device; null: none) is
  //            not, changes nothing, and neither do the steps after it until a Begin() that follows the failed
  //            Finish().
  //   Finish   is given the report of the step, copied to the host. It sets sign_flips, at_clip and gradient_norm(), or
  //            returns the step's error. After an error the signs that parameters carry are dropped, so work that was
  //            recorded with them must not run any more.
  //
  // Several steps may begin before the first is finished; each is finished once, in order.
  absl::Status Begin(absl::Span<Parameter* const> parameters);
  absl::Status Enqueue(absl::Span<Parameter* const> parameters, const float* loss = nullptr);
  absl::Status Finish(absl::Span<Parameter* const> parameters, const void* report);
  // Where the device leaves the report of a step, aligned for doubles. REQUIRES: Begin() came before.
  const void* report() { return report_->block(); }
  size_t report_bytes() const { return report_->bytes(); }

  const char* name() const { return traits_.name; }
  // How many numbers of state there are for each element of a trainable parameter.
  int64_t slots() const { return static_cast<int64_t>(traits_.slots.size()); }
  const OptimizerOptions& options() const { return options_; }
  double learning_rate() const { return options_.learning_rate; }
  // Takes effect, and is checked, at the next Step().
  void set_learning_rate(double learning_rate) { options_.learning_rate = learning_rate; }

  // Steps done: t of the formulas is this plus one, for all parameters alike.
  int64_t step_count() const { return step_count_; }
  // N of the last step, before clipping; 0 before the first. With max_gradient_norm = 0 its relative error is about
  // 1e-6.
  double gradient_norm() const { return gradient_norm_; }

  // What a checkpoint must keep beside parameters and step_count(): a tensor per slot and trainable
  // parameter, in the order of the parameters. Empty before the first step, and for plain SGD. The
  // pointers are valid until the next Step() or Restore().
  std::vector<NamedTensor> state() const;

  // Continues from a checkpoint, bit for bit: copies `state`, as state() listed it (in any order), from the host or the
  // device. `parameters` are those that Step() will be given. A state that is missing, of another shape or type, or
  // that this optimizer does not have is an error that names it; nothing was changed then.
  absl::Status Restore(absl::Span<Parameter* const> parameters, absl::Span<const NamedTensor> state,
                       int64_t step_count);

 protected:
  struct Traits {
    const char* name;                // in the table and in the names of states
    std::vector<const char*> slots;  // states per parameter, float32 of its shape, 0 at first
    int glorot_power;                // s = GlorotScale()^glorot_power
  };

  // REQUIRES: CheckOptions(options).ok(); the context outlives the optimizer.
  Optimizer(ExecContext& context, const OptimizerOptions& options, Traits traits);

  static absl::Status CheckOptions(const char* optimizer, const OptimizerOptions& options);

  // Returns StepScalars::rate of step t = 1, 2, ... The learning rate has been rounded to float.
  virtual double Rate(double learning_rate, int64_t t) const = 0;
  // Calls the optimizer's kernel. slots[i] of a tensor is state traits.slots[i]. `scalars` and `counts` lie in the
  // memory of the device.
  virtual void UpdateTensors(ExecContext& context, const Kernels& kernels, const StepScalars* scalars,
                             absl::Span<const StepTensor> tensors, StepCounts* counts) = 0;

 private:
  // A parameter as it was at the first step, and its state.
  struct Bound {
    std::string name;
    Shape shape;
    bool trainable;
    std::vector<Tensor> slots;  // empty where not trainable
  };

  absl::StatusOr<std::vector<Bound>> Bind(absl::Span<Parameter* const> parameters) const;
  absl::Status CheckParameters(absl::Span<Parameter* const> parameters) const;
  absl::Status CheckUnchanged(absl::Span<Parameter* const> parameters) const;
  void TakeBack();
  void SumSquares(absl::Span<Parameter* const> parameters);
  StepTensor TensorOf(Parameter& parameter, Bound& bound) const;
  double WeightScale(const Parameter& parameter) const;
  std::string StateName(int slot, const std::string& parameter) const;

  ExecContext& context_;
  OptimizerOptions options_;
  const Traits traits_;
  int64_t step_count_ = 0;
  double gradient_norm_ = 0;
  std::vector<Bound> bound_;  // empty before the first step
  bool first_step_ = false;   // bound_ was made by a first step that is not finished yet
  std::unique_ptr<StepReport> report_;
  std::vector<int> stepped_;  // the parameters of the report, in order: those that had a gradient at the last Enqueue()
  int64_t begun_ = 0;         // how many steps have begun; step_count_ of them are finished
  bool failed_ = false;       // whether the last step that was finished has failed
};

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_OPTIMIZER_H_
