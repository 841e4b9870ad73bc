// RecordedWork: the work that some code enqueues on a device, recorded once and enqueued again and again, each time
// with a single call. A training step consists of hundreds of kernels, and launching them one by one can take longer
// than running them.
//
//   BITGRAD_ASSIGN_OR_RETURN(auto work, RecordedWork::Record(context, [&] { return ForwardAndBackward(); }));
//   for (...) work->Enqueue();
//
// The code runs once, on the host, while it is recorded; the device runs nothing then. Arguments that it passes to
// kernels by value are the same in every later run, so whatever changes from run to run must lie in the device's
// memory: numbers behind pointers, and the random step (ExecContext::set_device_step()). Blocks that the code takes
// from the context's pool and gives back stay reserved for the work. Blocks that the code keeps, and blocks that
// existed before, must live as long as the work.
//
// The code may neither copy to or from the host nor wait for the device. To find out whether it does, compare
// ExecContext::transfers() before and after a run that is not recorded.

#ifndef BITGRAD_CORE_RECORDED_WORK_H_
#define BITGRAD_CORE_RECORDED_WORK_H_

#include <memory>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"

namespace bitgrad {

class RecordedWork {
 public:
  // Records what `code` enqueues. Returns the error of `code`, or else the device's. REQUIRES: the context has a stream
  // (its device is not the CPU) and outlives the work.
  static absl::StatusOr<std::unique_ptr<RecordedWork>> Record(ExecContext& context,
                                                              absl::FunctionRef<absl::Status()> code);
  ~RecordedWork();
  RecordedWork(const RecordedWork&) = delete;
  RecordedWork& operator=(const RecordedWork&) = delete;

  // Enqueues the work once more.
  void Enqueue() { recording_->Enqueue(); }

 private:
  RecordedWork(ExecContext& context, std::unique_ptr<DeviceStream::Recording> recording, PoolAllocator::Reserved blocks)
      : context_(context), recording_(std::move(recording)), blocks_(std::move(blocks)) {}

  ExecContext& context_;
  std::unique_ptr<DeviceStream::Recording> recording_;
  const PoolAllocator::Reserved blocks_;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_RECORDED_WORK_H_
