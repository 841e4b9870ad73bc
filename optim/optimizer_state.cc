// The state of an optimizer: what a checkpoint keeps of it.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/optim/optimizer.h"

namespace bitgrad {

std::string Optimizer::StateName(const Bound& bound, size_t slot) const {
  const UpdateRule::Traits& traits = rules_[bound.rule].update->traits();
  return absl::StrCat(traits.name, "/", traits.slots[slot], "/", bound.name);
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> result;
  for (const Bound& bound : bound_) {
    for (size_t i = 0; i < bound.slots.size(); ++i) {
      result.push_back({StateName(bound, i), &bound.slots[i]});
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
      const std::string key = StateName(bound, i);
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
