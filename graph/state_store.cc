#include "bitgrad/graph/state_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/transfer.h"

namespace bitgrad {

StateStore::Slot* StateStore::Find(absl::string_view name) {
  for (Slot& slot : slots_) {
    if (slot.name == name) return &slot;
  }
  return nullptr;
}

StateStore::Slot& StateStore::Make(absl::string_view name, const Shape& shape) {
  Allocator& memory = context_.lasting_allocator();
  Slot slot;
  slot.name = std::string(name);
  slot.value = Tensor::Zeros(shape, DType::kFloat32, memory);
  slot.next = Tensor::Zeros(shape, DType::kFloat32, memory);
  for (Tensor& before : slot.before) before = Tensor::Zeros(shape, DType::kFloat32, memory);
  slots_.push_back(std::move(slot));
  return slots_.back();
}

void StateStore::Copy(const Tensor& from, int64_t rows, Tensor& to) {
  const size_t bytes = static_cast<size_t>(rows * to.shape().dim(1)) * sizeof(float);
  context_.allocator().Copy(to.mutable_raw_data(), from.raw_data(), bytes);
}

void StateStore::Reset() {
  PoolAllocator& memory = context_.allocator();
  for (Slot& slot : slots_) {
    memory.Zero(slot.value.mutable_raw_data(), slot.value.byte_size());
    memory.Zero(slot.next.mutable_raw_data(), slot.next.byte_size());
    for (Tensor& before : slot.before) memory.Zero(before.mutable_raw_data(), before.byte_size());
  }
}

absl::Status StateStore::Commit() {
  for (Slot& slot : slots_) {
    Copy(slot.value, slot.value.shape().dim(0), slot.before[commits_ % kKept]);
    Copy(slot.next, slot.next_rows, slot.value);
  }
  ++commits_;
  return context_.status();
}

void StateStore::Restore(int commits) {
  BITGRAD_CHECK(commits >= 1 && commits <= kKept);
  const int64_t from = commits_ + kKept - commits;
  for (Slot& slot : slots_) {
    const int64_t rows = slot.value.shape().dim(0);
    Copy(slot.before[from % kKept], rows, slot.value);
    // So that a Commit() after a tape that leaves nothing changes nothing.
    Copy(slot.value, rows, slot.next);
  }
}

std::vector<NamedState> StateStore::states() const {
  std::vector<NamedState> states;
  for (const Slot& slot : slots_) {
    const Tensor host = ToHost(context_, slot.value);
    states.push_back({slot.name, context_.device() == Device::kCpu ? host.Clone() : host.Alias()});
  }
  return states;
}

absl::Status StateStore::Set(absl::string_view name, const Tensor& value) {
  if (value.is_null() || value.dtype() != DType::kFloat32 || value.shape().rank() != 2 ||
      !value.shape().Validate().ok() ||
      (value.device() != Device::kCpu && value.device() != context_.allocator().device())) {
    return absl::InvalidArgumentError(
        absl::StrCat("state '", name, "': the value is ",
                     value.is_null() ? "null" : absl::StrCat(Name(value.dtype()), " ", value.shape().ToString()),
                     "; it has to be float32 [streams, width], on the host or on the context's device"));
  }
  Slot* slot = Find(name);
  if (slot == nullptr) slot = &Make(name, value.shape());
  if (slot->value.shape() != value.shape()) {
    return absl::InvalidArgumentError(absl::StrCat("state '", name, "': the value is ", value.shape().ToString(),
                                                   ", the state ", slot->value.shape().ToString(),
                                                   "; they have to have one shape"));
  }
  const Tensor on_device = ToDevice(context_, value);
  Copy(on_device, value.shape().dim(0), slot->value);
  Copy(on_device, value.shape().dim(0), slot->next);
  return context_.status();
}

absl::StatusOr<Tensor> StateStore::Read(absl::string_view name, const Shape& shape) {
  if (shape.rank() != 2 || !shape.Validate().ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("state '", name, "': the shape ", shape.ToString(), " has to be [streams, width]"));
  }
  Slot* slot = Find(name);
  if (slot == nullptr) slot = &Make(name, shape);
  const Shape& own = slot->value.shape();
  if (own == shape) return slot->value.Alias();
  if (own.dim(1) != shape.dim(1)) {
    return absl::InvalidArgumentError(absl::StrCat("state '", name, "': it is ", own.ToString(), " and is read as ",
                                                   shape.ToString(), "; the width of a state cannot change"));
  }
  if (own.dim(0) < shape.dim(0)) {
    return absl::InvalidArgumentError(absl::StrCat("state '", name, "': there are ", shape.dim(0),
                                                   " streams, but the state was made for ", own.dim(0),
                                                   "; use another StateStore for batches with more streams"));
  }
  Tensor rows(shape, DType::kFloat32, context_.allocator());
  Copy(slot->value, shape.dim(0), rows);
  return rows;
}

void StateStore::Write(absl::string_view name, const Tensor& next) {
  Slot* const slot = Find(name);
  BITGRAD_CHECK(slot != nullptr && next.shape().rank() == 2 && next.shape().dim(1) == slot->next.shape().dim(1) &&
                next.shape().dim(0) <= slot->next.shape().dim(0));
  slot->next_rows = next.shape().dim(0);
  Copy(next, slot->next_rows, slot->next);
}

}  // namespace bitgrad
