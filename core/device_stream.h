// DeviceStream: a queue of work on a device other than the host, and the memory that this work uses.
//
// An ExecContext on such a device owns one stream. Kernels and copies run in the order in which they are enqueued. A
// block that is given back may therefore be handed out again at once, though kernels that use it are still enqueued:
// its next user's writes come later in the queue.
//
// core/ knows no particular device. The code that does (ops/cuda) registers with SetDeviceStreamFactory() how a stream
// is made.

#ifndef BITGRAD_CORE_DEVICE_STREAM_H_
#define BITGRAD_CORE_DEVICE_STREAM_H_

#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/allocator.h"
#include "bitgrad/core/device.h"

namespace bitgrad {

class DeviceStream : public Allocator {
 public:
  // Copy `bytes` bytes from the host's memory to the device's, and back. Upload() has finished reading `host` when it
  // returns. Download() waits for all work enqueued before and returns when `host` holds the bytes.
  virtual void Upload(void* device, const void* host, size_t bytes) = 0;
  virtual void Download(void* host, const void* device, size_t bytes) = 0;

  // Waits for all work enqueued so far. Returns the first error that has ever surfaced, in this call and in all later
  // ones: a device does not recover from an error.
  virtual absl::Status Synchronize() = 0;

  // The device API's own handle: a cudaStream_t for CUDA.
  virtual void* handle() = 0;

  // Work that was recorded once and can be enqueued any number of times, each time with a single call.
  class Recording {
   public:
    virtual ~Recording() = default;
    virtual void Enqueue() = 0;
  };
  // What is enqueued between BeginRecording() and EndRecording() does not run; it becomes the Recording. Uploads,
  // downloads and Synchronize() are errors in between. core/recorded_work.h wraps these two calls and also reserves the
  // memory that the recorded work uses.
  virtual absl::Status BeginRecording() = 0;
  virtual absl::StatusOr<std::unique_ptr<Recording>> EndRecording() = 0;

  // Feeds one block of the device's memory with new bytes, again and again (each step's batch of images, say). The copy
  // overlaps with the work that was enqueued before Send(); work that is enqueued after Send() finds the new bytes in
  // the block.
  class Feed {
   public:
    virtual ~Feed() = default;
    // Sends as many bytes as NewFeed() was given. `host` has been read when Send() returns.
    virtual void Send(const void* host) = 0;
  };
  virtual absl::StatusOr<std::unique_ptr<Feed>> NewFeed(void* block, size_t bytes) = 0;

  // Reads a block back, again and again, without waiting for all of the queue. Enqueue() enqueues a copy of what the
  // block holds at that point of the queue. Next() waits for the earliest copy that was not read yet and returns it;
  // its bytes stay valid until the following Next(). After an error of the device they are meaningless. REQUIRES: at
  // most kReadbacks copies are unread.
  static constexpr int kReadbacks = 2;
  class Readback {
   public:
    virtual ~Readback() = default;
    virtual void Enqueue() = 0;
    virtual const void* Next() = 0;
  };
  virtual absl::StatusOr<std::unique_ptr<Readback>> NewReadback(const void* block, size_t bytes) = 0;
};

using DeviceStreamFactory = absl::StatusOr<std::unique_ptr<DeviceStream>> (*)();

void SetDeviceStreamFactory(Device device, DeviceStreamFactory factory);

// A new stream. UnimplementedError where no factory is registered for the device; else whatever error the factory
// gives, where the device cannot be used.
absl::StatusOr<std::unique_ptr<DeviceStream>> NewDeviceStream(Device device);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_DEVICE_STREAM_H_
