// Scratch: device memory from the context's pool that kernels need while they run.

#ifndef BITGRAD_OPS_CUDA_SCRATCH_H_
#define BITGRAD_OPS_CUDA_SCRATCH_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Room for `count` uninitialized elements, given back at the end of the scope. Work that was enqueued within the scope
// may still be using it then: whoever gets the memory next uses it later in the queue.
template <typename T>
class Scratch {
 public:
  Scratch(ExecContext& context, int64_t count)
      : allocator_(context.allocator()),
        bytes_(static_cast<size_t>(std::max<int64_t>(1, count)) * sizeof(T)),
        data_(static_cast<T*>(allocator_.Allocate(bytes_))) {}
  ~Scratch() { allocator_.Deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }

 private:
  Allocator& allocator_;
  const size_t bytes_;
  T* const data_;
};

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_SCRATCH_H_
