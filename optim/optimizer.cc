#include "bitgrad/optim/optimizer.h"

#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/device_array.h"
#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/dispatch.h"
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
// signs.
std::shared_ptr<BitMatrix> SignsToUpdate(ExecContext& context, Parameter& parameter) {
  std::shared_ptr<const BitMatrix> old = parameter.signs();
  parameter.set_signs(nullptr);
  if (old == nullptr) return nullptr;
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

Optimizer::Optimizer(ExecContext& context, const OptimizerOptions& options, Traits traits)
    : context_(context), options_(options), traits_(std::move(traits)) {}

absl::Status Optimizer::CheckOptions(const char* optimizer, const OptimizerOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckPositive(optimizer, "learning_rate", options.learning_rate));
  BITGRAD_RETURN_IF_ERROR(CheckNotNegative(optimizer, "weight_decay", options.weight_decay));
  return CheckNotNegative(optimizer, "max_gradient_norm", options.max_gradient_norm);
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
  BITGRAD_RETURN_IF_ERROR(Finish(parameters, report.data()));
  for (const int i : stepped_) parameters[i]->gradient = Tensor();
  return absl::OkStatus();
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
  BITGRAD_RETURN_IF_ERROR(CheckPositive(name(), "learning_rate", options_.learning_rate));
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
  const auto rate = static_cast<float>(Rate(static_cast<float>(options_.learning_rate), ++begun_));
  context_.Upload(&report_->scalars()->rate, &rate, sizeof(rate));
  return absl::OkStatus();
}

absl::Status Optimizer::Enqueue(absl::Span<Parameter* const> parameters, const float* loss) {
  const Kernels& kernels = KernelsFor(context_.device());
  stepped_.clear();
  std::vector<StepTensor> tensors;
  std::vector<std::shared_ptr<BitMatrix>> signs;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!HasGradient(*parameters[i])) continue;
    stepped_.push_back(static_cast<int>(i));
    signs.push_back(SignsToUpdate(context_, *parameters[i]));
    tensors.push_back(TensorOf(*parameters[i], bound_[i]));
    if (signs.back() != nullptr) tensors.back().signs = signs.back()->mutable_view();
  }
  if (tensors.empty()) {
    return absl::FailedPreconditionError(
        "no trainable parameter has a gradient; call Tape::Backward() before each step");
  }
  SumSquares(parameters);
  kernels.prepare_step(context_, report_->squares(), loss, options_.max_gradient_norm, tensors, report_->scalars(),
                       report_->counts());
  UpdateTensors(context_, kernels, report_->scalars(), tensors, report_->counts());
  for (size_t k = 0; k < stepped_.size(); ++k) parameters[stepped_[k]]->set_signs(std::move(signs[k]));
  return context_.status();
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
    if (!(parameter.clip > 0)) {
      return ParameterError(parameter, absl::StrCat("its clip is ", parameter.clip, ", must be positive"));
    }
    if (parameter.gradient.is_null()) continue;
    BITGRAD_RETURN_IF_ERROR(CheckTensor(parameter, "gradient", parameter.gradient, context_.device()));
    if (parameter.gradient.shape() != parameter.value.shape()) {
      return ParameterError(parameter, absl::StrCat("its gradient has shape ", parameter.gradient.shape().ToString(),
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
    Bound bound{parameter->name, parameter->value.shape(), parameter->trainable, {}};
    const MemoryUser user("optimizer's state of parameter", parameter->name);
    for (size_t i = 0; parameter->trainable && i < traits_.slots.size(); ++i) {
      bound.slots.push_back(Tensor::Zeros(bound.shape, DType::kFloat32, context_.lasting_allocator()));
    }
    result.push_back(std::move(bound));
  }
  return result;
}

double Optimizer::WeightScale(const Parameter& parameter) const {
  const bool scales =
      options_.glorot_scale && parameter.is_quantized() && parameter.fan_in > 0 && parameter.fan_out > 0;
  return scales ? std::pow(GlorotScale(parameter.fan_in, parameter.fan_out), traits_.glorot_power) : 1;
}

StepTensor Optimizer::TensorOf(Parameter& parameter, Bound& bound) const {
  StepTensor tensor = {.gradient = parameter.gradient.data<float>(),
                       .weight = parameter.value.mutable_data<float>(),
                       .slots = {nullptr, nullptr},
                       .count = parameter.value.num_elements(),
                       .weight_decay = parameter.decays ? static_cast<float>(options_.weight_decay) : 0.0f,
                       .weight_scale = static_cast<float>(WeightScale(parameter)),
                       .clip = parameter.clip};
  for (size_t slot = 0; slot < bound.slots.size(); ++slot) tensor.slots[slot] = bound.slots[slot].mutable_data<float>();
  return tensor;
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

absl::Status Optimizer::Restore(absl::Span<Parameter* const> parameters, absl::Span<const NamedTensor> state,
                                int64_t step_count) {
  if (step_count < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer '", name(), "': step count ", step_count, " is negative"));
  }
  if (step_count == 0 && state.empty()) {  // As before the first step.
    bound_.clear();
    first_step_ = false;
    step_count_ = begun_ = 0;
    gradient_norm_ = 0;
    return absl::OkStatus();
  }
  BITGRAD_RETURN_IF_ERROR(CheckParameters(parameters));
  std::map<std::string, const Tensor*> given;
  for (const NamedTensor& named : state) {
    if (!given.emplace(named.name, named.tensor).second) {
      return absl::InvalidArgumentError(absl::StrCat("optimizer state '", named.name, "' is given twice"));
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
                : absl::StrCat(Name(tensor->dtype()), " ", tensor->shape().ToString(), " on ", Name(tensor->device()));
        return absl::InvalidArgumentError(absl::StrCat("optimizer state '", key, "' is ", what, ", must be float32 ",
                                                       bound.shape.ToString(), " on cpu",
                                                       context_.device() == Device::kCpu ? "" : " or cuda"));
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
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer '", name(), "' has no state '", given.begin()->first, "' for this model"));
  }
  bound_ = std::move(restored);
  first_step_ = false;
  step_count_ = begun_ = step_count;
  gradient_norm_ = 0;
  return absl::OkStatus();
}

}  // namespace bitgrad
