// DeviceArray: a few numbers (sums, counts) that kernels leave in the memory of a context's device and that the host
// then reads with a single copy, because every read from a device waits for all of its enqueued work.
//
//   DeviceArray<int64_t> errors(context, 1);
//   kernels.count_errors(context, logits, labels, errors.data());
//   const int64_t wrong = errors.Download()[0];

#ifndef BITGRAD_CORE_DEVICE_ARRAY_H_
#define BITGRAD_CORE_DEVICE_ARRAY_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "bitgrad/core/exec_context.h"

namespace bitgrad {

template <typename T>
class DeviceArray {
 public:
  static_assert(std::is_trivially_copyable_v<T>);

  // `count` elements, all zero. On the CPU the array does not take its memory from the context's pool, so that the
  // pool's statistics show the values of a training step and nothing else. REQUIRES: the context outlives the array.
  DeviceArray(ExecContext& context, int64_t count)
      : context_(context), count_(count), data_(static_cast<T*>(context.lasting_allocator().Allocate(allocated()))) {
    context.lasting_allocator().Zero(data_, allocated());
  }
  ~DeviceArray() { context_.lasting_allocator().Deallocate(data_, allocated()); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  int64_t count() const { return count_; }
  // A pointer in the device's memory.
  T* data() { return data_; }

  // Copies the numbers to the host after all work enqueued so far. Where that work failed (see context.status()) they
  // are meaningless.
  std::vector<T> Download() const {
    std::vector<T> values(count_);
    context_.Download(values.data(), data_, values.size() * sizeof(T));
    return values;
  }

 private:
  size_t allocated() const { return static_cast<size_t>(std::max<int64_t>(1, count_)) * sizeof(T); }

  ExecContext& context_;
  const int64_t count_;
  T* const data_;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_DEVICE_ARRAY_H_
