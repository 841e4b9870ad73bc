// Scratch: device memory that a kernel needs while it runs, from the context's pool.

#ifndef BITGRAD_OPS_CUDA_SCRATCH_H_
#define BITGRAD_OPS_CUDA_SCRATCH_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// `count` uninitialized elements, given back at the end of the scope: what was enqueued in it has them for itself,
// because whoever gets them next is behind it in the queue.
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
