#include "bitgrad/optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/device_array.h"
#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/ops/quantizers/power_of_two.h"
#include "bitgrad/ops/row_gradient.h"
#include "bitgrad/optim/hyperparameters.h"

namespace bitgrad {
namespace {

bool HasGradient(const Parameter& parameter) { return parameter.trainable && !parameter.gradient.is_null(); }

absl::Status ParameterError(const Parameter& parameter, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("parameter '", parameter.name, "': ", what));
}

absl::Status CheckTensor(const Parameter& parameter, const char* role, const Tensor& tensor, Device device) {
  if (tensor.dtype() != DType::kFloat32) {
    return ParameterError(parameter,
                          absl::StrCat("its ", role, " is ", Name(tensor.dtype()), ", optimizers take float32"));
  }
  if (tensor.device() != device) {
    return ParameterError(
        parameter, absl::StrCat("its ", role, " is on ", Name(tensor.device()), ", the optimizer on ", Name(device)));
  }
  return absl::OkStatus();
}

// Takes from a weight the signs that the forward pass has left with it, and returns where the step writes the new ones,
// for the next forward pass: into the same memory, unless a tape still holds that. Null where the weight carries no
// signs, or is rounded by the step, which leaves none then.
std::shared_ptr<BitMatrix> SignsToUpdate(ExecContext& context, Parameter& parameter) {
  std::shared_ptr<const BitMatrix> old = parameter.signs();
  parameter.set_signs(nullptr);
  if (old == nullptr || parameter.step_format.rounds() || parameter.stored_format.rounds()) return nullptr;
  // Products on GPUs need the ones of each row.
  const bool with_ones = context.device() != Device::kCpu;
  if (old.use_count() == 1 && old->has_ones() == with_ones) return std::const_pointer_cast<BitMatrix>(std::move(old));
  Allocator& allocator = context.lasting_allocator();
  return std::make_shared<BitMatrix>(with_ones ? BitMatrix::WithOnes(old->rows(), old->cols(), allocator)
                                               : BitMatrix(old->rows(), old->cols(), allocator));
}

}  // namespace

double GlorotScale(int64_t fan_in, int64_t fan_out) {
  return std::sqrt((static_cast<double>(fan_in) + static_cast<double>(fan_out)) / 1.5);
}

absl::StatusOr<std::unique_ptr<Optimizer>> Optimizer::Create(ExecContext& context, const OptimizerOptions& options,
                                                             std::unique_ptr<UpdateRule> rule,
                                                             std::vector<GroupRule> groups) {
  std::vector<Rule> rules;
  const std::string name = rule->name();
  rules.push_back({std::move(rule), name, {.learning_rate = options.learning_rate}, options.weight_decay});
  std::array<int, kParameterGroups> rule_of_group = {};
  for (GroupRule& group : groups) {
    int& index = rule_of_group[static_cast<size_t>(group.group)];
    if (index != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("optimizer '", name, "': there are two rules for ", Name(group.group)));
    }
    index = static_cast<int>(rules.size());
    const std::string label = absl::StrCat(group.rule->name(), " of ", Name(group.group));
    rules.push_back(
        {std::move(group.rule), label, group.options, group.options.weight_decay.value_or(options.weight_decay)});
  }
  for (const Rule& each : rules) {
    BITGRAD_RETURN_IF_ERROR(CheckRate(each, each.options.learning_rate));
    BITGRAD_RETURN_IF_ERROR(CheckNotNegative(each.label.c_str(), "weight_decay", each.weight_decay));
  }
  BITGRAD_RETURN_IF_ERROR(CheckNotNegative(name.c_str(), "max_gradient_norm", options.max_gradient_norm));
  std::unique_ptr<Optimizer> optimizer(new Optimizer(context, options, std::move(rules)));
  optimizer->rule_of_group_ = rule_of_group;
  return optimizer;
}

absl::Status Optimizer::CheckRate(const Rule& rule, double learning_rate) {
  BITGRAD_RETURN_IF_ERROR(CheckPositive(rule.label.c_str(), "learning_rate", learning_rate));
  const double most = rule.update->traits().most_learning_rate;
  if (learning_rate <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("optimizer '", rule.label, "': learning_rate is ", learning_rate, ", must be at most ", most));
}

double Optimizer::LearningRate(int rule) const {
  if (rule == 0) return options_.learning_rate;
  const GroupRule::Options& own = rules_[rule].options;
  return own.constant_rate ? own.learning_rate : own.learning_rate * (options_.learning_rate / first_learning_rate_);
}

double Optimizer::learning_rate(ParameterGroup group) const {
  return LearningRate(rule_of_group_[static_cast<size_t>(group)]);
}

int64_t Optimizer::slots(const Parameter& parameter) const {
  return static_cast<int64_t>(rules_[RuleOf(parameter)].update->traits().slots.size());
}

ArithmeticCounts Optimizer::ArithmeticOf(const Parameter& parameter) const {
  ArithmeticCounts counts = rules_[RuleOf(parameter)].update->traits().arithmetic;
  counts += {.float_multiplications = 1, .float_additions = 1};
  return counts * (StepsRows(parameter) ? parameter.gradient : parameter.value).num_elements();
}

bool Optimizer::StepsRows(const Parameter& parameter) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const Rule& rule = rules_[RuleOf(parameter)];
  return parameter.has_row_gradient() && rule.update->traits().updates_rows &&
         !(parameter.decays && static_cast<float>(rule.weight_decay) != 0) && parameter.least == -kInfinity &&
         parameter.most == kInfinity && !parameter.step_format.rounds() && !parameter.stored_format.rounds() &&
         parameter.signs() == nullptr;
}

absl::Status Optimizer::CheckRules(absl::Span<Parameter* const> parameters) const {
  for (int group = 0; group < kParameterGroups; ++group) {
    const bool any = std::any_of(parameters.begin(), parameters.end(), [&](const Parameter* parameter) {
      return static_cast<int>(GroupOf(*parameter)) == group;
    });
    if (any || rule_of_group_[group] == 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer: there is a rule '", rules_[rule_of_group_[group]].update->name(), "' for ",
                     Name(static_cast<ParameterGroup>(group)), ", but the model has none"));
  }
  for (const Parameter* parameter : parameters) BITGRAD_RETURN_IF_ERROR(CheckRuleOf(*parameter));
  return absl::OkStatus();
}

absl::Status Optimizer::CheckRuleOf(const Parameter& parameter) const {
  const UpdateRule& rule = *rules_[RuleOf(parameter)].update;
  if (parameter.trainable && !rule.traits().rounds &&
      (parameter.step_format.rounds() || parameter.stored_format.rounds())) {
    return ParameterError(
        parameter, absl::StrCat("it is stored as ", ToString(parameter.stored_format.format), ", to which optimizer '",
                                rule.name(), "' cannot round; choose 'sgd' without nesterov"));
  }
  if (!parameter.trainable || !rule.traits().binary_weights_only || parameter.is_binary()) return absl::OkStatus();
  return ParameterError(parameter, absl::StrCat("optimizer '", rule.name(),
                                                "' trains binary weights only, and this is none; choose another rule "
                                                "for ",
                                                Name(GroupOf(parameter))));
}

absl::Status Optimizer::Step(absl::Span<Parameter* const> parameters) {
  BITGRAD_RETURN_IF_ERROR(Begin(parameters));
  if (absl::Status error = Enqueue(parameters); !error.ok()) {
    TakeBack();
    return error;
  }
  std::vector<char> report(report_bytes());
  context_.Download(report.data(), report_->block(), report.size());
  BITGRAD_RETURN_IF_ERROR(context_.status());
  const int64_t before = step_count_;
  absl::Status finished = Finish(parameters, report.data());
  if (step_count_ == before) return finished;
  for (const int i : stepped_) parameters[i]->DropGradient();
  return finished;
}

// Of steps that have begun and failed nothing stays: not even to which parameters the first one would have bound the
// optimizer.
void Optimizer::TakeBack() {
  begun_ = step_count_;
  if (!first_step_) return;
  bound_.clear();
  first_step_ = false;
}

absl::Status Optimizer::Begin(absl::Span<Parameter* const> parameters) {
  BITGRAD_RETURN_IF_ERROR(context_.status());
  for (size_t rule = 0; rule < rules_.size(); ++rule) {
    BITGRAD_RETURN_IF_ERROR(CheckRate(rules_[rule], LearningRate(static_cast<int>(rule))));
  }
  BITGRAD_RETURN_IF_ERROR(CheckParameters(parameters));
  if (bound_.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(bound_, Bind(parameters));
    first_step_ = true;
  } else {
    BITGRAD_RETURN_IF_ERROR(CheckUnchanged(parameters));
  }
  const auto count = static_cast<int64_t>(parameters.size());
  if (report_ == nullptr || report_->parameters() != count) report_ = std::make_unique<StepReport>(context_, count);
  if (failed_) {
    failed_ = false;
    begun_ = step_count_;
    const StepScalars fresh = {};
    context_.Upload(report_->scalars(), &fresh, sizeof(fresh));
  }
  ++begun_;
  std::array<RuleNumbers, StepReport::kMostRules> numbers = {};
  for (size_t rule = 0; rule < rules_.size(); ++rule) {
    const UpdateRule& update = *rules_[rule].update;
    const auto learning_rate = static_cast<float>(LearningRate(static_cast<int>(rule)));
    const double momentum = rule == 0 ? momentum_ : update.traits().momentum;
    numbers[rule] = {.rate = static_cast<float>(update.Rate(learning_rate, begun_)),
                     .momentum = static_cast<float>(momentum)};
  }
  context_.Upload(report_->numbers(), numbers.data(), rules_.size() * sizeof(RuleNumbers));
  return absl::OkStatus();
}

absl::Status Optimizer::Enqueue(absl::Span<Parameter* const> parameters, const float* loss) {
  const Kernels& kernels = KernelsFor(context_.device());
  stepped_.clear();
  std::vector<StepTensor> tensors;
  std::vector<std::shared_ptr<BitMatrix>> signs;
  struct Ends {
    size_t whole, rows;
  };
  std::vector<Ends> ends;  // of each rule's tensors: those that are stepped as a whole, then those stepped by rows
  for (size_t rule = 0; rule < rules_.size(); ++rule) {
    const auto take = [&](bool by_rows) {
      for (size_t i = 0; i < parameters.size(); ++i) {
        Parameter& parameter = *parameters[i];
        if (bound_[i].rule != static_cast<int>(rule) || !HasGradient(parameter)) continue;
        if (StepsRows(parameter) != by_rows) continue;
        if (!by_rows) ExpandRowGradient(context_, parameter);
        stepped_.push_back(static_cast<int>(i));
        signs.push_back(SignsToUpdate(context_, parameter));
        tensors.push_back(TensorOf(parameter, bound_[i]));
        if (signs.back() != nullptr) tensors.back().signs = signs.back()->mutable_view();
      }
      return tensors.size();
    };
    const size_t whole = take(/*by_rows=*/false);
    ends.push_back({whole, take(/*by_rows=*/true)});
  }
  if (tensors.empty()) {
    return absl::FailedPreconditionError(
        "no trainable parameter has a gradient; call Tape::Backward() before each step");
  }
  SumSquares(parameters);
  kernels.prepare_step(context_, report_->squares(), loss, options_.max_gradient_norm, tensors, report_->scalars(),
                       report_->counts());
  size_t begin = 0;
  for (size_t rule = 0; rule < rules_.size(); ++rule) {
    const UpdateRule& update = *rules_[rule].update;
    const RuleNumbers* const numbers = report_->numbers() + rule;
    const auto [whole, end] = ends[rule];
    if (begin < whole) {
      update.Update(context_, kernels, numbers, report_->scalars(),
                    absl::MakeConstSpan(tensors).subspan(begin, whole - begin), report_->counts() + begin);
    }
    for (size_t k = whole; k < end; ++k) {
      Parameter& parameter = *parameters[stepped_[k]];
      update.UpdateRows(context_, kernels, numbers, report_->scalars(), parameter.gradient_rows.data<int32_t>(),
                        parameter.gradient.matrix<float>(), tensors[k].weight_scale,
                        parameter.value.mutable_matrix<float>(), report_->counts() + k);
    }
    begin = end;
  }
  LimitRowNorms(parameters);
  for (size_t k = 0; k < stepped_.size(); ++k) parameters[stepped_[k]]->set_signs(std::move(signs[k]));
  return context_.status();
}

void Optimizer::LimitRowNorms(absl::Span<Parameter* const> parameters) {
  for (const int i : stepped_) {
    Parameter& parameter = *parameters[i];
    if (parameter.max_row_norm == 0) continue;
    const int64_t rows = parameter.value.shape().dim(0), cols = parameter.value.num_elements() / rows;
    KernelsFor(context_.device())
        .limit_row_norms(context_, parameter.max_row_norm, parameter.stored_format.rounding(/*counts=*/false),
                         report_->scalars(), MatrixView<float>(parameter.value.mutable_data<float>(), rows, cols));
  }
}

// Writes the sum of squares of each gradient. Some ops have noted it with the gradient (Tensor::sum_of_squares): that
// is exact enough to tell whether all elements are finite, but not to clip by. The others are summed up here, in
// double, which squares of floats do not overflow, so a sum that is not finite has an element that is not.
void Optimizer::SumSquares(absl::Span<Parameter* const> parameters) {
  const Kernels& kernels = KernelsFor(context_.device());
  double* const squares = report_->squares();
  std::vector<absl::Span<const float>> arrays;  // neighbours without a noted sum, for one call
  const auto sum_up_to = [&](size_t end) {
    if (!arrays.empty()) kernels.sums_of_squares(context_, arrays, squares + (end - arrays.size()));
    arrays.clear();
  };
  for (size_t k = 0; k < stepped_.size(); ++k) {
    const Tensor& gradient = parameters[stepped_[k]]->gradient;
    const double noted = options_.max_gradient_norm > 0 ? -1 : gradient.sum_of_squares();
    if (noted >= 1e-30 * static_cast<double>(gradient.num_elements()) && std::isfinite(noted)) {
      sum_up_to(k);
      squares[k] = noted;  // This is the host's memory, for only the CPU's kernels note sums.
    } else {
      arrays.push_back(gradient.span<float>());
    }
  }
  sum_up_to(stepped_.size());
}

absl::Status Optimizer::Finish(absl::Span<Parameter* const> parameters, const void* report) {
  const StepReport::Host host = report_->Read(report);
  if (host.scalars->failed != 0) {
    failed_ = true;
    TakeBack();
    for (const int i : stepped_) parameters[i]->set_signs(nullptr);  // Some may have been made anew for this step.
    for (size_t k = 0; k < stepped_.size(); ++k) {
      if (std::isfinite(host.squares[k])) continue;
      return absl::OutOfRangeError(absl::StrCat(
          "parameter '", parameters[stepped_[k]]->name, "': its gradient has a NaN or an infinity at step ",
          step_count_ + 1, "; nothing was updated. Try a lower learning rate than ", options_.learning_rate));
    }
    return absl::OutOfRangeError(
        absl::StrCat("the loss is not finite at step ", step_count_ + 1, "; nothing was updated"));
  }
  ++step_count_;
  first_step_ = false;
  for (Parameter* parameter : parameters) parameter->sign_flips = 0;
  double sum = 0;
  for (size_t k = 0; k < stepped_.size(); ++k) {
    sum += host.squares[k];
    parameters[stepped_[k]]->sign_flips = host.counts[k].sign_flips;
    parameters[stepped_[k]]->at_clip = host.counts[k].at_clip;
  }
  gradient_norm_ = std::sqrt(sum);
  for (const int i : stepped_) {
    const Parameter& parameter = *parameters[i];
    if (!parameter.has_to_stay_inside || parameter.at_clip == 0) continue;
    return absl::OutOfRangeError(absl::StrCat(
        "parameter '", parameter.name, "': ", parameter.at_clip, " of ", parameter.value.num_elements(),
        " values had to stay above ", parameter.least, " and below ", parameter.most, " and did not at step ",
        step_count_, ". Try a lower learning rate than ", LearningRate(bound_[i].rule)));
  }
  return absl::OkStatus();
}

absl::Status Optimizer::CheckParameters(absl::Span<Parameter* const> parameters) const {
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i] == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("optimizer: parameter ", i, " is null"));
    }
    const Parameter& parameter = *parameters[i];
    if (!parameter.trainable) continue;
    if (parameter.value.is_null()) return ParameterError(parameter, "it has no value");
    BITGRAD_RETURN_IF_ERROR(CheckTensor(parameter, "value", parameter.value, context_.device()));
    if (!(parameter.least < parameter.most)) {
      return ParameterError(parameter, absl::StrCat("its bounds are ", parameter.least, " and ", parameter.most,
                                                    ", the first must be less than the second"));
    }
    BITGRAD_RETURN_IF_ERROR(CheckRuleOf(parameter));
    if (parameter.gradient.is_null()) continue;
    BITGRAD_RETURN_IF_ERROR(CheckTensor(parameter, "gradient", parameter.gradient, context_.device()));
    if (!parameter.GradientFits()) {
      return ParameterError(parameter, absl::StrCat("its gradient has shape ", parameter.gradient.shape().ToString(),
                                                    parameter.gradient_rows.is_null() ? "" : ", by rows",
                                                    ", its value ", parameter.value.shape().ToString()));
    }
  }
  return absl::OkStatus();
}

absl::Status Optimizer::CheckUnchanged(absl::Span<Parameter* const> parameters) const {
  constexpr char kHint[] = "; make a new optimizer for another set of parameters";
  if (parameters.size() != bound_.size()) {
    return absl::FailedPreconditionError(absl::StrCat("optimizer '", name(), "' began with ", bound_.size(),
                                                      " parameters, now there are ", parameters.size(), kHint));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = *parameters[i];
    const Bound& bound = bound_[i];
    if (parameter.name != bound.name) {
      return absl::FailedPreconditionError(absl::StrCat("optimizer '", name(), "': parameter ", i, " was '", bound.name,
                                                        "', now '", parameter.name, "'", kHint));
    }
    if (parameter.trainable != bound.trainable) {
      return absl::FailedPreconditionError(absl::StrCat(
          "parameter '", parameter.name, "' was ", bound.trainable ? "" : "not ", "trainable when the optimizer '",
          name(), "' began, now it is", bound.trainable ? " not" : "", kHint));
    }
    if (parameter.trainable && parameter.value.shape() != bound.shape) {
      return absl::FailedPreconditionError(absl::StrCat("parameter '", parameter.name, "' had shape ",
                                                        bound.shape.ToString(), " when the optimizer '", name(),
                                                        "' began, now ", parameter.value.shape().ToString(), kHint));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Optimizer::Bound>> Optimizer::Bind(absl::Span<Parameter* const> parameters) const {
  std::set<std::string> names;
  std::vector<Bound> result;
  result.reserve(parameters.size());
  for (const Parameter* parameter : parameters) {
    if (!names.insert(parameter->name).second) {
      return ParameterError(*parameter, "it occurs twice; every parameter needs its own name");
    }
    Bound bound{parameter->name, parameter->value.shape(), parameter->trainable, RuleOf(*parameter), {}};
    const MemoryUser user("optimizer's state of parameter", parameter->name);
    for (int64_t i = 0; parameter->trainable && i < slots(*parameter); ++i) {
      bound.slots.push_back(Tensor::Zeros(bound.shape, DType::kFloat32, context_.lasting_allocator()));
    }
    result.push_back(std::move(bound));
  }
  return result;
}

StepTensor Optimizer::TensorOf(Parameter& parameter, Bound& bound) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  StepTensor tensor = {.gradient = parameter.gradient.data<float>(),
                       .weight = parameter.value.mutable_data<float>(),
                       .slots = {nullptr, nullptr},
                       .count = parameter.value.num_elements(),
                       .weight_decay = 0,
                       .weight_scale = 1,
                       .least = -kInfinity,
                       .most = kInfinity};
  for (size_t slot = 0; slot < bound.slots.size(); ++slot) tensor.slots[slot] = bound.slots[slot].mutable_data<float>();
  const Rule& rule = rules_[bound.rule];
  if (rule.update->traits().binary_weights_only) return tensor;
  tensor.least = parameter.least;
  tensor.most = parameter.most;
  tensor.round_step = parameter.step_format.rounding(/*counts=*/true);
  tensor.round_weight = parameter.stored_format.rounding(/*counts=*/true);
  if (parameter.decays) tensor.weight_decay = static_cast<float>(rule.weight_decay);
  if (options_.glorot_scale && parameter.is_quantized() && parameter.fan_in > 0 && parameter.fan_out > 0) {
    const UpdateRule::Traits& traits = rule.update->traits();
    tensor.weight_scale =
        static_cast<float>(std::pow(GlorotScale(parameter.fan_in, parameter.fan_out), traits.glorot_power));
    if (traits.rounds_glorot) tensor.weight_scale = NearestPower(tensor.weight_scale);
  }
  return tensor;
}

}  // namespace bitgrad
