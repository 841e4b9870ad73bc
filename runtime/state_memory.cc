#include "bitgrad/runtime/state_memory.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/frame.h"

namespace bitgrad {

StateMemory::StateMemory(const PackedModel& model, ExecContext& context) : context_(context) {
  slots_.resize(static_cast<size_t>(model.header().states_size()));
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    slots_[slot].width = model.header().states(static_cast<int>(slot)).width();
  }
}

absl::Status StateMemory::Begin(int64_t streams) {
  if (slots_.empty()) return absl::OkStatus();
  if (streams_ >= 0 && streams > streams_) {
    return absl::FailedPreconditionError(absl::StrCat("there are ", streams, " streams, and states of ", streams_,
                                                      " from the time steps before; call Reset() first, or go on with ",
                                                      "no more streams than before"));
  }
  if (streams_ < 0) {
    phase_ = 0;
    for (Slot& slot : slots_) {
      for (Tensor& buffer : slot.buffers) GrowBuffer<float>(buffer, streams * slot.width, context_);
      KernelsFor(context_.device())
          .fill_f32(context_, 0.0f, slot.buffers[0].mutable_data<float>(), streams * slot.width);
    }
  }
  streams_ = streams;
  return absl::OkStatus();
}

}  // namespace bitgrad
