// Memory of the context's pool for the scope of one function: kernels that are enqueued later may have it, since the queue is in
// order.

#ifndef BITGRAD_OPS_CUDA_SCRATCH_H_
#define BITGRAD_OPS_CUDA_SCRATCH_H_

#include <cstddef>
#include <cstdint>

#include "core/exec_context.h"
#include "ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

template <typename T>
class Scratch {
 public:
  Scratch(ExecContext& context, int64_t count)
      : context_(context),
        bytes_(static_cast<size_t>(count) * sizeof(T)),
        data_(static_cast<T*>(context.allocator().Allocate(bytes_))) {}
  ~Scratch() { context_.allocator().Deallocate(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  T* data() const { return data_; }

 private:
  ExecContext& context_;
  size_t bytes_;
  T* data_;
};

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_SCRATCH_H_
