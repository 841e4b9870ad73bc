#include "optim/optimizer.h"

#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/device_array.h"
#include "core/status_macros.h"
#include "ops/dispatch.h"
#include "optim/hyperparameters.h"

namespace bitgrad {
namespace {

bool HasGradient(const Parameter& parameter) {
  return parameter.trainable && !parameter.gradient.is_null();
}

absl::Status ParameterError(const Parameter& parameter, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("parameter '", parameter.name, "': ", what));
}

absl::Status CheckTensor(const Parameter& parameter, const char* role, const Tensor& tensor,
                         Device device) {
  if (tensor.dtype() != DType::kFloat32) {
    return ParameterError(parameter, absl::StrCat("its ", role, " is ", Name(tensor.dtype()),
                                                  ", optimizers take float32"));
  }
  if (tensor.device() != device) {
    return ParameterError(parameter, absl::StrCat("its ", role, " is on ", Name(tensor.device()),
                                                  ", the optimizer on ", Name(device)));
  }
  return absl::OkStatus();
}

}  // namespace

double GlorotScale(int64_t fan_in, int64_t fan_out) {
  return std::sqrt((static_cast<double>(fan_in) + static_cast<double>(fan_out)) / 1.5);
}

Optimizer::Optimizer(ExecContext& context, const OptimizerOptions& options, Traits traits)
    : context_(context), options_(options), traits_(std::move(traits)) {}

absl::Status Optimizer::CheckOptions(const char* optimizer, const OptimizerOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckPositive(optimizer, "learning_rate", options.learning_rate));
  BITGRAD_RETURN_IF_ERROR(CheckNotNegative(optimizer, "weight_decay", options.weight_decay));
  return CheckNotNegative(optimizer, "max_gradient_norm", options.max_gradient_norm);
}

absl::Status Optimizer::Step(absl::Span<Parameter* const> parameters) {
  BITGRAD_RETURN_IF_ERROR(context_.status());
  BITGRAD_RETURN_IF_ERROR(CheckPositive(name(), "learning_rate", options_.learning_rate));
  BITGRAD_RETURN_IF_ERROR(CheckParameters(parameters));
  std::vector<Bound> fresh;
  if (bound_.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(fresh, Bind(parameters));
  } else {
    BITGRAD_RETURN_IF_ERROR(CheckUnchanged(parameters));
  }
  BITGRAD_ASSIGN_OR_RETURN(const double norm, GradientNorm(parameters));

  // From here on nothing fails but a kernel.
  if (bound_.empty()) bound_ = std::move(fresh);
  gradient_norm_ = norm;
  ++step_count_;
  const double limit = options_.max_gradient_norm;
  const double gradient_scale = limit > 0 && norm > limit ? limit / norm : 1;
  const Kernels& kernels = KernelsFor(context_.device());
  DeviceArray<StepCounts> counts(context_, static_cast<int64_t>(parameters.size()));
  std::vector<bool> stepped(parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    Parameter& parameter = *parameters[i];
    if (!HasGradient(parameter)) {
      parameter.sign_flips = 0;
      continue;
    }
    StepArgs args = ArgsFor(parameter, gradient_scale);
    // Signs that the forward pass has left with the weight are made anew in the same pass over memory.
    std::shared_ptr<BitMatrix> signs;
    if (std::shared_ptr<const BitMatrix> old = parameter.value.signs(); old != nullptr) {
      parameter.value.set_signs(nullptr);
      // In the same memory, unless a tape still holds the old ones.
      signs = old.use_count() == 1 ? std::const_pointer_cast<BitMatrix>(std::move(old))
                                   : std::make_shared<BitMatrix>(old->rows(), old->cols(),
                                                                 context_.lasting_allocator());
      args.signs = signs->mutable_view();
    }
    StepParameter(context_, kernels, args, step_count_, absl::MakeSpan(bound_[i].slots), parameter, counts.data() + i);
    parameter.value.set_signs(std::move(signs));
    parameter.gradient = Tensor();
    stepped[i] = true;
  }
  const std::vector<StepCounts> counted = counts.Download();
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!stepped[i]) continue;
    parameters[i]->sign_flips = counted[i].sign_flips;
    parameters[i]->at_clip = counted[i].at_clip;
  }
  return context_.status();
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
    if (!(parameter.clip > 0)) {
      return ParameterError(parameter,
                            absl::StrCat("its clip is ", parameter.clip, ", must be positive"));
    }
    if (parameter.gradient.is_null()) continue;
    BITGRAD_RETURN_IF_ERROR(
        CheckTensor(parameter, "gradient", parameter.gradient, context_.device()));
    if (parameter.gradient.shape() != parameter.value.shape()) {
      return ParameterError(
          parameter, absl::StrCat("its gradient has shape ", parameter.gradient.shape().ToString(),
                                  ", its value ", parameter.value.shape().ToString()));
    }
  }
  return absl::OkStatus();
}

absl::Status Optimizer::CheckUnchanged(absl::Span<Parameter* const> parameters) const {
  constexpr char kHint[] = "; make a new optimizer for another set of parameters";
  if (parameters.size() != bound_.size()) {
    return absl::FailedPreconditionError(absl::StrCat("optimizer '", name(), "' began with ",
                                                      bound_.size(), " parameters, now there are ",
                                                      parameters.size(), kHint));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = *parameters[i];
    const Bound& bound = bound_[i];
    if (parameter.name != bound.name) {
      return absl::FailedPreconditionError(absl::StrCat("optimizer '", name(), "': parameter ", i,
                                                        " was '", bound.name, "', now '",
                                                        parameter.name, "'", kHint));
    }
    if (parameter.trainable != bound.trainable) {
      return absl::FailedPreconditionError(
          absl::StrCat("parameter '", parameter.name, "' was ", bound.trainable ? "" : "not ",
                       "trainable when the optimizer '", name(), "' began, now it is",
                       bound.trainable ? " not" : "", kHint));
    }
    if (parameter.trainable && parameter.value.shape() != bound.shape) {
      return absl::FailedPreconditionError(
          absl::StrCat("parameter '", parameter.name, "' had shape ", bound.shape.ToString(),
                       " when the optimizer '", name(), "' began, now ",
                       parameter.value.shape().ToString(), kHint));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Optimizer::Bound>> Optimizer::Bind(
    absl::Span<Parameter* const> parameters) const {
  std::set<std::string> names;
  std::vector<Bound> result;
  result.reserve(parameters.size());
  for (const Parameter* parameter : parameters) {
    if (!names.insert(parameter->name).second) {
      return ParameterError(*parameter, "it occurs twice; every parameter needs its own name");
    }
    Bound bound{parameter->name, parameter->value.shape(), parameter->trainable, {}};
    for (size_t i = 0; parameter->trainable && i < traits_.slots.size(); ++i) {
      bound.slots.push_back(Tensor::Zeros(bound.shape, DType::kFloat32, context_.lasting_allocator()));
    }
    result.push_back(std::move(bound));
  }
  return result;
}

absl::StatusOr<double> Optimizer::GradientNorm(absl::Span<Parameter* const> parameters) const {
  const Kernels& kernels = KernelsFor(context_.device());
  std::vector<const Parameter*> with_gradient;
  for (const Parameter* parameter : parameters) {
    if (HasGradient(*parameter)) with_gradient.push_back(parameter);
  }
  if (with_gradient.empty()) {
    return absl::FailedPreconditionError(
        "no trainable parameter has a gradient; call Tape::Backward() before each step");
  }
  // What the op that made the gradient has noted is exact enough to tell that all elements are finite, not to clip by.
  // The others are summed up: squares of floats do not overflow a double, so that a sum that is not finite has such an
  // element.
  const int64_t count = static_cast<int64_t>(with_gradient.size());
  DeviceArray<double> sums(context_, count);
  std::vector<double> squares(count);
  bool summed = false;
  for (int64_t i = 0; i < count; ++i) {
    const Tensor& gradient = with_gradient[i]->gradient;
    squares[i] = options_.max_gradient_norm > 0 ? -1 : gradient.sum_of_squares();
    if (squares[i] >= 1e-30 * static_cast<double>(gradient.num_elements()) && std::isfinite(squares[i])) continue;
    kernels.add_sum_of_squares(context_, gradient.data<float>(), gradient.num_elements(), sums.data() + i);
    squares[i] = -1;
    summed = true;
  }
  if (summed) {
    const std::vector<double> downloaded = sums.Download();
    BITGRAD_RETURN_IF_ERROR(context_.status());
    for (int64_t i = 0; i < count; ++i) {
      if (squares[i] == -1) squares[i] = downloaded[i];
    }
  }
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(squares[i])) {
      return absl::OutOfRangeError(absl::StrCat(
          "parameter '", with_gradient[i]->name, "': its gradient has a NaN or an infinity at step ",
          step_count_ + 1, "; nothing was updated. Try a lower learning rate than ",
          options_.learning_rate));
    }
    sum += squares[i];
  }
  return std::sqrt(sum);
}

StepArgs Optimizer::ArgsFor(const Parameter& parameter, double gradient_scale) const {
  double weight_scale = 1;
  if (options_.glorot_scale && parameter.is_quantized() && parameter.fan_in > 0 &&
      parameter.fan_out > 0) {
    weight_scale = std::pow(GlorotScale(parameter.fan_in, parameter.fan_out), traits_.glorot_power);
  }
  return {.learning_rate = static_cast<float>(options_.learning_rate),
          .gradient_scale = static_cast<float>(gradient_scale),
          .weight_decay = parameter.decays ? static_cast<float>(options_.weight_decay) : 0.0f,
          .weight_scale = static_cast<float>(weight_scale),
          .clip = parameter.clip};
}

std::string Optimizer::StateName(int slot, const std::string& parameter) const {
  return absl::StrCat(name(), "/", traits_.slots[slot], "/", parameter);
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> result;
  for (const Bound& bound : bound_) {
    for (size_t i = 0; i < bound.slots.size(); ++i) {
      result.push_back({StateName(i, bound.name), &bound.slots[i]});
    }
  }
  return result;
}

absl::Status Optimizer::Restore(absl::Span<Parameter* const> parameters,
                                absl::Span<const NamedTensor> state, int64_t step_count) {
  if (step_count < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer '", name(), "': step count ", step_count, " is negative"));
  }
  if (step_count == 0 && state.empty()) {  // As before the first step.
    bound_.clear();
    step_count_ = 0;
    gradient_norm_ = 0;
    return absl::OkStatus();
  }
  BITGRAD_RETURN_IF_ERROR(CheckParameters(parameters));
  std::map<std::string, const Tensor*> given;
  for (const NamedTensor& named : state) {
    if (!given.emplace(named.name, named.tensor).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("optimizer state '", named.name, "' is given twice"));
    }
  }
  BITGRAD_ASSIGN_OR_RETURN(std::vector<Bound> restored, Bind(parameters));
  for (Bound& bound : restored) {
    for (size_t i = 0; i < bound.slots.size(); ++i) {
      const std::string key = StateName(i, bound.name);
      const auto found = given.find(key);
      if (found == given.end()) {
        return absl::InvalidArgumentError(absl::StrCat("optimizer state '", key, "' is missing"));
      }
      const Tensor* tensor = found->second;
      if (tensor == nullptr || tensor->is_null() || tensor->dtype() != DType::kFloat32 ||
          tensor->shape() != bound.shape ||
          (tensor->device() != Device::kCpu && tensor->device() != context_.device())) {
        const std::string what =
            tensor == nullptr || tensor->is_null()
                ? "null"
                : absl::StrCat(Name(tensor->dtype()), " ", tensor->shape().ToString(), " on ",
                               Name(tensor->device()));
        return absl::InvalidArgumentError(absl::StrCat("optimizer state '", key, "' is ", what,
                                                       ", must be float32 ", bound.shape.ToString(),
                                                       " on cpu", context_.device() == Device::kCpu ? "" : " or cuda"));
      }
      if (tensor->device() == Device::kCpu) {
        context_.Upload(bound.slots[i].mutable_raw_data(), tensor->raw_data(), tensor->byte_size());
      } else {
        bound.slots[i] = tensor->Clone(context_.lasting_allocator());
      }
      given.erase(found);
    }
  }
  if (!given.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("optimizer '", name(), "' has no state '",
                                                   given.begin()->first, "' for this model"));
  }
  bound_ = std::move(restored);
  step_count_ = step_count;
  gradient_norm_ = 0;
  return absl::OkStatus();
}

}  // namespace bitgrad
