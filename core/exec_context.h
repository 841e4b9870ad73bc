// ExecContext: where and how kernels run: the device, its threads, its memory pool, the random state and the first
// error.
//
// It is passed to everything that computes; there is no default device and no global mode. A context is used by one
// thread at a time; the kernels themselves run on up to threads() threads.
//
//   ExecContext context({.threads = 2, .seed = 1});
//   Tape tape(context);
//
// A context on a device other than the CPU owns a stream, and kernels return when their work is enqueued. Where the
// device cannot be used, or an option is out of its range, status() holds the reason from the start, and with it every
// Tape of the context.

#ifndef BITGRAD_CORE_EXEC_CONTEXT_H_
#define BITGRAD_CORE_EXEC_CONTEXT_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "bitgrad/core/allocator.h"
#include "bitgrad/core/device.h"
#include "bitgrad/core/device_stream.h"
#include "bitgrad/core/rng.h"

namespace bitgrad {

// How precisely a GPU's tensor cores multiply the gradients in a binary layer's backward products
// (ops/kernels/sign_gemm.h): each gradient is represented as a sum of this many bf16 numbers, with 8 bits of mantissa
// each. The other operand is +-1, and the accumulator is float32. The CPU does not round gradients.
enum class BackwardPrecision : int { kBf16 = 1, kBf16x2 = 2, kFloat32 = 3 };

class ExecContext {
 public:
  // No machine has more hardware threads than this, and a process that asks for many more is ended by the system.
  static constexpr int kMaxThreads = 1024;

  struct Options {
    Device device = Device::kCpu;
    int threads = 0;  // 0: one per hardware thread; at most kMaxThreads
    uint64_t seed = 1;
    BackwardPrecision backward = BackwardPrecision::kBf16;
  };

  ExecContext() : ExecContext(Options{}) {}
  explicit ExecContext(const Options& options);
  ~ExecContext() { allocator_->Abandon(); }
  ExecContext(const ExecContext&) = delete;
  ExecContext& operator=(const ExecContext&) = delete;

  Device device() const { return device_; }
  int threads() const { return threads_; }
  BackwardPrecision backward_precision() const { return backward_precision_; }

  // The device's memory for the values of a step and for scratch.
  PoolAllocator& allocator() { return *allocator_; }
  // The device's memory for what stays from step to step (parameters, the optimizer's state). Its blocks may outlive
  // the context: on the CPU they are the heap's, elsewhere they keep the pool alive.
  Allocator& lasting_allocator() {
    return allocator_->device() == Device::kCpu ? HeapAllocator() : static_cast<Allocator&>(*allocator_);
  }

  // The device's queue of work; null on the CPU.
  DeviceStream* stream() { return stream_; }

  // Copy `bytes` bytes between the host's memory and the device's (on the CPU both are the same memory). Upload() has
  // finished reading `host` when it returns; Download() returns when `host` holds the bytes.
  void Upload(void* device, const void* host, size_t bytes);
  void Download(void* host, const void* device, size_t bytes);

  // A counter that every Upload(), Download() and Synchronize() increases. Work during which it does not change can be
  // recorded (core/recorded_work.h).
  int64_t transfers() const { return transfers_; }

  // Waits for all enqueued work, so that the returned status() includes its errors. Returns at once on the CPU.
  const absl::Status& Synchronize();

  // The random state. The step counts training tapes: each training-mode Tape (and each Reset() of one) takes the next
  // number, so two steps never draw the same random numbers. Checkpoints store it.
  uint64_t seed() const { return seed_; }
  uint32_t step() const { return step_; }
  void set_step(uint32_t step) { step_ = step; }
  void AdvanceStep() { ++step_; }
  // While work is being recorded: where the device finds the step at every run of it (RngStream::device_step). Else
  // null.
  const uint32_t* device_step() const { return device_step_; }
  void set_device_step(const uint32_t* step) { device_step_ = step; }

  // The first error that a kernel reported. Kernels report errors here rather than by return value, because on a GPU an
  // error surfaces later than the call that caused it.
  const absl::Status& status() const { return status_; }
  void ReportError(absl::Status error) {
    if (status_.ok()) status_ = error;
  }

 private:
  Device device_;
  int threads_;
  BackwardPrecision backward_precision_;
  uint64_t seed_;
  uint32_t step_ = 0;
  const uint32_t* device_step_ = nullptr;
  int64_t transfers_ = 0;
  absl::Status status_;
  DeviceStream* stream_ = nullptr;  // owned by allocator_
  PoolAllocator* allocator_;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_EXEC_CONTEXT_H_
