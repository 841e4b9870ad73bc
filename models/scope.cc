#include "bitgrad/models/scope.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/core/rng.h"

namespace bitgrad {
namespace {

// How many elements all parameters together may have: as many as fit into this machine's memory. It catches a typing
// error in a width before memory is asked for.
int64_t MaxElements() {
  constexpr int64_t kMost = int64_t{1} << 33;
  const int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || page_bytes <= 0) return kMost;
  return std::min(kMost, pages * (page_bytes / static_cast<int64_t>(sizeof(float))));
}

void Fill(const Initializer& init, const RngStream& rng, Tensor& tensor) {
  float* data = tensor.mutable_data<float>();
  const int64_t count = tensor.num_elements();
  for (int64_t block = 0; block * 4 < count; ++block) {
    const RngBlock words = RandomBlock(rng, block);
    for (int64_t i = block * 4; i < count && i < block * 4 + 4; ++i) {
      data[i] = init.low + (init.high - init.low) * ToUniform(words.word[i % 4]);
    }
  }
  std::fill(data + init.part_begin, data + init.part_end, init.part);
}

}  // namespace

Scope ParameterStore::Root() { return Scope(*this, ""); }

Parameter* ParameterStore::Find(absl::string_view name) const {
  for (Parameter* parameter : parameters_) {
    if (parameter->name == name) return parameter;
  }
  return nullptr;
}

int64_t ParameterStore::trainable_elements() const {
  int64_t count = 0;
  for (const Parameter* parameter : parameters_) {
    if (parameter->trainable) count += parameter->value.num_elements();
  }
  return count;
}

ParameterStore::Elements ParameterStore::measured() const {
  Elements elements;
  for (size_t i = 0; i < measured_.size(); ++i) {
    elements.all += measured_[i];
    if (parameters_[i]->trainable) elements.trainable += measured_[i];
  }
  return elements;
}

void ParameterStore::SetScalars(ExecContext& context, const TrainingTime& time) {
  for (const ScheduledScalar& scalar : scalars_) {
    const float value = scalar.schedule.At(time);
    context.Upload(scalar.parameter->value.mutable_raw_data(), &value, sizeof(value));
  }
}

Scope Scope::operator/(absl::string_view name) const {
  return Scope(*store_, path_.empty() ? std::string(name) : absl::StrCat(path_, "/", name));
}

void Scope::ReportError(absl::string_view message) const {
  store_->ReportError(absl::InvalidArgumentError(absl::StrCat("layer '", path_, "': ", message)));
}

Parameter& Scope::NewParameter(absl::string_view name, const Shape& shape, const Initializer& init) const {
  auto parameter = std::make_unique<Parameter>();
  parameter->name = (*this / name).path_;
  if (store_->Find(parameter->name) != nullptr) {
    ReportError(absl::StrCat("parameter '", name, "' exists already; give each layer a name of its own"));
  }
  if (store_->status_.ok() && store_->parameter_check_) {
    store_->ReportError(store_->parameter_check_(parameter->name, shape));
  }
  absl::Status valid = shape.Validate();
  if (valid.ok() && shape.num_elements() == 0) {
    valid = absl::InvalidArgumentError(absl::StrCat("shape ", shape.ToString(), " has 0 elements"));
  }
  if (valid.ok() && !store_->measures_only_ && shape.num_elements() > MaxElements() - store_->elements_) {
    valid = absl::InvalidArgumentError(absl::StrCat("shape ", shape.ToString(), " has ", shape.num_elements(),
                                                    " elements, more than fit into memory"));
  }
  if (!valid.ok()) ReportError(absl::StrCat("parameter '", name, "': ", valid.message()));
  if (store_->status_.ok() && store_->before_ != nullptr) {
    const Parameter* const before = store_->before_->Find(parameter->name);
    if (before == nullptr) {
      ReportError(absl::StrCat("parameter '", name, "' is new; a model can only continue one that has it"));
    } else if (before->value.shape() != shape) {
      ReportError(absl::StrCat("parameter '", name, "' is ", shape.ToString(), ", and was ",
                               before->value.shape().ToString(), " in the model that is to be continued"));
    } else {
      parameter->value = before->value.Alias();
      parameter->is_set = before->is_set;
    }
  }
  // A model with an error is not used, so that its further parameters get no memory.
  if (store_->status_.ok() && store_->before_ != nullptr) {
    store_->elements_ += shape.num_elements();
  } else if (store_->status_.ok() && store_->measures_only_) {
    store_->elements_ += shape.num_elements();
    store_->measured_.push_back(shape.num_elements());
    parameter->value = Tensor::Zeros({0});
  } else if (store_->status_.ok()) {
    const MemoryUser user("parameter", parameter->name);
    store_->elements_ += shape.num_elements();
    parameter->value = Tensor(shape, DType::kFloat32);
    Fill(init,
         {.seed = store_->seed_,
          .purpose = RngPurpose::kInit,
          .stream = static_cast<uint32_t>(store_->parameters_.size())},
         parameter->value);
  } else {
    parameter->value = Tensor::Zeros({0});
  }
  store_->parameters_.push_back(parameter.get());
  store_->owned_.push_back(std::move(parameter));
  return *store_->owned_.back();
}

Parameter& Scope::NewUnsetParameter(absl::string_view name, const Shape& shape) const {
  Parameter& parameter = NewParameter(name, shape, Initializer::Constant(1));
  if (store_->before_ == nullptr) parameter.is_set = false;
  return parameter;
}

Parameter& Scope::NewScalar(absl::string_view name, const ScalarSchedule& schedule) const {
  const absl::Status valid = schedule.status();
  if (!valid.ok()) ReportError(absl::StrCat("'", name, "': ", valid.message()));
  Parameter& parameter = NewParameter(name, Shape(), Initializer::Constant(static_cast<float>(schedule.initial)));
  parameter.trainable = false;
  store_->scalars_.push_back({&parameter, schedule});
  return parameter;
}

}  // namespace bitgrad
