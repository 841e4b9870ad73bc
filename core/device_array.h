// DeviceArray: a few numbers that kernels leave on a context's device (sums, counts) and that the host reads all at
// once: each read of a device waits for all its work.
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

  // Zeros. On the CPU no memory of the context's pool, so that a step's memory is that of its values. The context
  // outlives the array.
  DeviceArray(ExecContext& context, int64_t count)
      : context_(context), count_(count), data_(static_cast<T*>(context.lasting_allocator().Allocate(allocated()))) {
    context.lasting_allocator().Zero(data_, allocated());
  }
  ~DeviceArray() { context_.lasting_allocator().Deallocate(data_, allocated()); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  int64_t count() const { return count_; }
  // On the device.
  T* data() { return data_; }

  // The numbers, when all work that the context was given before is done. Where that failed (context.status()) they
  // mean nothing.
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
