#include "bitgrad/core/recorded_work.h"

#include "bitgrad/core/check.h"

namespace bitgrad {

absl::StatusOr<std::unique_ptr<RecordedWork>> RecordedWork::Record(ExecContext& context,
                                                                   absl::FunctionRef<absl::Status()> code) {
  BITGRAD_CHECK(context.stream() != nullptr);
  DeviceStream& stream = *context.stream();
  if (absl::Status error = stream.BeginRecording(); !error.ok()) return error;
  context.allocator().BeginReserving();
  const absl::Status status = code();
  PoolAllocator::Reserved blocks = context.allocator().EndReserving();
  // Also after an error in `code`, because only EndRecording() makes the stream run work again.
  auto recording = stream.EndRecording();
  if (!status.ok() || !recording.ok()) {
    context.allocator().Release(blocks);
    return status.ok() ? recording.status() : status;
  }
  return std::unique_ptr<RecordedWork>(new RecordedWork(context, *std::move(recording), std::move(blocks)));
}

// The work may still be running. The blocks' next user is behind its last run in the queue.
RecordedWork::~RecordedWork() { context_.allocator().Release(blocks_); }

}  // namespace bitgrad
