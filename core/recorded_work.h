// RecordedWork: what code enqueues on a device, recorded once and then enqueued again at the cost of a single call. A
// training step is hundreds of kernels, and launching them one by one can take longer than running them.
//
//   BITGRAD_ASSIGN_OR_RETURN(auto work, RecordedWork::Record(context, [&] { return ForwardAndBackward(); }));
//   for (...) work->Enqueue();
//
// The code runs once, on the host, when it is recorded; the device runs nothing then. What it passed to kernels by
// value is the same in every run, so whatever changes has to be in the device's memory: the numbers behind pointers,
// and the random step (ExecContext::set_device_step()). Blocks that the code took from the context's pool and gave back
// stay reserved for the work; those that it keeps, and those that existed before, have to live as long as the work.
//
// The code may not copy to or from the host or wait for the device. Whether it does shows ExecContext::transfers() in a
// run that is not recorded.

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
  // The code's own error, or the device's. REQUIRES: the context has a stream (it is not on the CPU) and outlives the
  // work.
  static absl::StatusOr<std::unique_ptr<RecordedWork>> Record(ExecContext& context,
                                                              absl::FunctionRef<absl::Status()> code);
  ~RecordedWork();
  RecordedWork(const RecordedWork&) = delete;
  RecordedWork& operator=(const RecordedWork&) = delete;

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
