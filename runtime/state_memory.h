// StateMemory: what a program carries from one time step to the next: a vector of floats for each slot and stream, in
// memory of the context's device.
//
// Each slot has two buffers. A time step reads one and fills the other, so that nothing is overwritten that somebody
// may still read, in whatever order the slots get their next values; then the two change places.

#ifndef BITGRAD_RUNTIME_STATE_MEMORY_H_
#define BITGRAD_RUNTIME_STATE_MEMORY_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

class StateMemory {
 public:
  // REQUIRES: the context outlives this.
  StateMemory(const PackedModel& model, ExecContext& context);

  // All states are zeros from the next Begin() on.
  void Reset() { streams_ = -1; }
  // Before time steps of this many streams: the first ones of those before. More streams than before are an error, but
  // after Reset().
  absl::Status Begin(int64_t streams);

  // The states of the streams from `stream` on, [streams - stream, width]: what this time step reads, and where its
  // next values go.
  const float* current(int slot, int64_t stream) const { return At(slots_[slot].buffers[phase_], slot, stream); }
  float* next(int slot, int64_t stream) {
    return const_cast<float*>(At(slots_[slot].buffers[1 - phase_], slot, stream));
  }
  // What was next is current.
  void Advance() { phase_ = 1 - phase_; }
  // Which of the two buffers is current. Several pieces of a batch, one after the other, begin with the same.
  int phase() const { return phase_; }
  void set_phase(int phase) { phase_ = phase; }

 private:
  struct Slot {
    int64_t width = 0;
    Tensor buffers[2];
  };
  const float* At(const Tensor& buffer, int slot, int64_t stream) const {
    return buffer.data<float>() + stream * slots_[slot].width;
  }

  ExecContext& context_;
  std::vector<Slot> slots_;
  int64_t streams_ = -1;  // -1: zeros, whatever their number will be
  int phase_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_STATE_MEMORY_H_
