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
//   w_new  = clip(w + s step(g'), least, most)                      Parameter::least, most
//
// and then rows of w_new are scaled down to Parameter::max_row_norm. In arithmetic of low precision the step, with a
// momentum also the velocity, and w_new are rounded (Parameter::step_format, stored_format).
//
// A gradient by rows (Parameter::gradient_rows) stands for one that is 0 in all other rows. Where zeros change nothing
// (plain SGD of a parameter without decay and bounds) the step passes over these rows alone; else the gradient is
// expanded first. The result is the same, apart from the last bits of N, a sum in another order.
//
// step() is that of an update rule (update_rule.h): see sgd.h, adam.h, adamax.h, shift_adamax.h; bop.h flips binary
// weights instead.
// The decay is added to the gradient (an L2 penalty), after clipping, for every rule.
//
// One rule trains all parameters, but groups of them (parameter_group.h) can have rules of their own, each with a
// learning rate of its own. With lr(t) the learning rate that set_learning_rate() has set, lr(0) that of the options,
// and r the rate that a group's rule was given, the rule works with r lr(t) / lr(0): a schedule scales all rates alike.
// A rule with `constant_rate` works with r throughout.
//
//   std::vector<GroupRule> rules;
//   BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<UpdateRule> bop, MakeUpdateRule("bop", {{"threshold", 1e-8}}));
//   rules.push_back({ParameterGroup::kQuantizedWeights, std::move(bop), {.learning_rate = 1e-4}});
//   BITGRAD_ASSIGN_OR_RETURN(auto optimizer, MakeOptimizer(context, "adam", {}, {}, std::move(rules)));
//
// s is BinaryConnect's Glorot learning-rate scale (Courbariaux et al., arXiv 1511.00363): latent
// weights of quantized layers live in [-1, 1] rather than in Glorot's range, so their steps grow by
// GlorotScale(fan_in, fan_out). It applies with `glorot_scale` to parameters that are quantized and
// have fan_in and fan_out. Adam and AdaMax, whose steps do not depend on the gradient's size, take
// it once, SGD squared; shift_adamax rounds it to a power of two.
//
#ifndef BITGRAD_OPTIM_OPTIMIZER_H_
#define BITGRAD_OPTIM_OPTIMIZER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/arithmetic.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/ops/kernels/kernels.h"
#include "bitgrad/optim/parameter_group.h"
#include "bitgrad/optim/step_report.h"
#include "bitgrad/optim/update_rule.h"

namespace bitgrad {

// What holds for all parameters, whatever their rule. Numbers are rounded to float for the kernels, and are checked as
// such.
struct OptimizerOptions {
  double learning_rate = 1e-3;   // > 0
  double weight_decay = 0;       // >= 0; 0: none
  bool glorot_scale = false;     // scale the steps of quantized weights
  double max_gradient_norm = 0;  // >= 0; 0: no clipping
};

// An update rule that a group of parameters has for itself.
struct GroupRule {
  struct Options {
    double learning_rate = 1e-3;          // r of the formulas above, > 0
    bool constant_rate = false;           // set_learning_rate() does not change it
    absl::optional<double> weight_decay;  // >= 0; default: that of the optimizer
  };
  ParameterGroup group;
  std::unique_ptr<UpdateRule> rule;
  Options options;
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
  // `rule` trains all parameters but those of the groups that have their own. InvalidArgument, naming the option, when
  // one is out of its range, and where a group has two rules. The context outlives the optimizer.
  static absl::StatusOr<std::unique_ptr<Optimizer>> Create(ExecContext& context, const OptimizerOptions& options,
                                                           std::unique_ptr<UpdateRule> rule,
                                                           std::vector<GroupRule> groups = {});
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Whether the rules fit the parameters of a model: each group that has a rule of its own has parameters, and no rule
  // trains what it cannot. Step() checks the latter, too; this is to find a mistake before a run begins.
  absl::Status CheckRules(absl::Span<Parameter* const> parameters) const;

  // Updates every trainable parameter that has a gradient, writes its sign_flips and at_clip, and
  // drops the gradient, so that the next Backward() begins a new sum.
  //
  // A trainable parameter without a gradient took no part in the loss: its value and state stay as
  // they are (no decay, no momentum) and its sign_flips is 0. Parameters that are not trainable are
  // passed by.
  //
  // The first step that succeeds binds the optimizer to its parameters. Errors, after none of which anything was
  // changed:
  //   - a learning rate, rounded to float, is not a positive finite number, or too large for its rule;
  //   - no trainable parameter has a gradient (Backward() was not called since the last step);
  //   - a gradient's shape, type or device is not that of its value, or a lower bound is not below the upper one;
  //   - a parameter's rule trains binary weights only, and it is none;
  //   - a gradient has a NaN or an infinity: the first such parameter is named;
  //   - names, shapes, `trainable` flags or order are not those of the parameters that the optimizer is bound to;
  //   - two parameters have the same name.
  // A kernel that the device lacks, or that fails, is an error too. And so is, after the step was done, a value at a
  // bound of a parameter that has to stay inside its bounds.
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

  // Of the rule for all parameters.
  const char* name() const { return rules_[0].update->name(); }
  // How many numbers of state there are for each element of a parameter.
  int64_t slots(const Parameter& parameter) const;
  // What a step computes for a trainable parameter: the square of its gradient, and what its rule does.
  ArithmeticCounts ArithmeticOf(const Parameter& parameter) const;
  const OptimizerOptions& options() const { return options_; }
  double learning_rate() const { return options_.learning_rate; }
  // That of the group's rule.
  double learning_rate(ParameterGroup group) const;
  // Takes effect, and is checked, at the next Step().
  void set_learning_rate(double learning_rate) { options_.learning_rate = learning_rate; }
  // Of the rule for all parameters, from the next step on. REQUIRES: the rule has a momentum above 0, so that it keeps
  // a velocity; 0 <= momentum < 1.
  void set_momentum(double momentum) { momentum_ = momentum; }

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

 private:
  struct Rule {
    std::unique_ptr<UpdateRule> update;
    std::string label;  // for errors: "adam", "bop of quantized weights"
    GroupRule::Options options;
    double weight_decay = 0;
  };
  // A parameter as it was at the first step, and its state.
  struct Bound {
    std::string name;
    Shape shape;
    bool trainable;
    int rule;                   // in rules_
    std::vector<Tensor> slots;  // empty where not trainable
  };

  Optimizer(ExecContext& context, const OptimizerOptions& options, std::vector<Rule> rules)
      : context_(context),
        options_(options),
        first_learning_rate_(options.learning_rate),
        momentum_(rules[0].update->traits().momentum),
        rules_(std::move(rules)) {}

  static absl::Status CheckRate(const Rule& rule, double learning_rate);
  int RuleOf(const Parameter& parameter) const { return rule_of_group_[static_cast<size_t>(GroupOf(parameter))]; }
  double LearningRate(int rule) const;
  absl::StatusOr<std::vector<Bound>> Bind(absl::Span<Parameter* const> parameters) const;
  absl::Status CheckParameters(absl::Span<Parameter* const> parameters) const;
  absl::Status CheckRuleOf(const Parameter& parameter) const;
  absl::Status CheckUnchanged(absl::Span<Parameter* const> parameters) const;
  // Whether the step takes the rows of the parameter's gradient as they are.
  bool StepsRows(const Parameter& parameter) const;
  void TakeBack();
  void SumSquares(absl::Span<Parameter* const> parameters);
  void LimitRowNorms(absl::Span<Parameter* const> parameters);
  StepTensor TensorOf(Parameter& parameter, Bound& bound) const;
  std::string StateName(const Bound& bound, size_t slot) const;

  ExecContext& context_;
  OptimizerOptions options_;
  const double first_learning_rate_;
  double momentum_;
  const std::vector<Rule> rules_;                         // the first is for groups that have none of their own
  std::array<int, kParameterGroups> rule_of_group_ = {};  // in rules_
  int64_t step_count_ = 0;
  double gradient_norm_ = 0;
  std::vector<Bound> bound_;  // empty before the first step
  bool first_step_ = false;   // bound_ was made by a first step that is not finished yet
  std::unique_ptr<StepReport> report_;
  // The parameters of the report, rule by rule: those that had a gradient at the last Enqueue().
  std::vector<int> stepped_;
  int64_t begun_ = 0;    // how many steps have begun; step_count_ of them are finished
  bool failed_ = false;  // whether the last step that was finished has failed
};

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_OPTIMIZER_H_
