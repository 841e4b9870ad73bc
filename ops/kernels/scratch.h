// Scratch: memory from the context's pool that a kernel needs while it runs.

#ifndef BITGRAD_OPS_KERNELS_SCRATCH_H_
#define BITGRAD_OPS_KERNELS_SCRATCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "bitgrad/core/exec_context.h"

namespace bitgrad {

// Room for `count` uninitialized elements on the context's device, given back at the end of the scope. On a GPU, work
// that was enqueued within the scope may still be using it then: whoever gets the memory next uses it later in the
// queue.
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

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SCRATCH_H_
