// DeviceStream: a queue of work on a device other than the host, and the memory that this work uses.
//
// An ExecContext on such a device owns one. Kernels and copies run in the order in which they are enqueued, so a block
// that is given back may be handed out again at once: whoever gets it writes to it later in the queue.
//
// core/ knows no device. Code that does (ops/cuda) says with SetDeviceStreamFactory() how a stream is made.

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
  // Copies from and to the host's memory. Upload has read `host` when it returns; Download waits for all that was
  // enqueued before, and for the bytes.
  virtual void Upload(void* device, const void* host, size_t bytes) = 0;
  virtual void Download(void* host, const void* device, size_t bytes) = 0;

  // Waits for all that was enqueued. The first error that has surfaced, and that one for ever: a device does not
  // recover.
  virtual absl::Status Synchronize() = 0;

  // The device's own handle: a cudaStream_t for CUDA.
  virtual void* handle() = 0;

  // Work that was recorded and can be enqueued any number of times, with one call each.
  class Recording {
   public:
    virtual ~Recording() = default;
    virtual void Enqueue() = 0;
  };
  // Between the two what is enqueued does not run but becomes the recording. Uploads, downloads and waiting are errors
  // then. See core/recorded_work.h, which also keeps the memory that the recording uses.
  virtual absl::Status BeginRecording() = 0;
  virtual absl::StatusOr<std::unique_ptr<Recording>> EndRecording() = 0;

  // A way into a block of the device for bytes that come again and again. They travel beside the work that was enqueued
  // before; what is enqueued after Send() finds them in the block.
  class Feed {
   public:
    virtual ~Feed() = default;
    // Has read `host` when it returns.
    virtual void Send(const void* host) = 0;
  };
  virtual absl::StatusOr<std::unique_ptr<Feed>> NewFeed(void* block, size_t bytes) = 0;

  // The way out of a block. Enqueue() takes the bytes that the block holds when the queue comes to it; Next() waits for
  // those of the earliest Enqueue() that was not read yet, which stay until the next Next(). On an error of the device
  // they mean nothing. REQUIRES: at most kReadbacks are unread.
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

// An error where the device is not part of this program or cannot be used.
absl::StatusOr<std::unique_ptr<DeviceStream>> NewDeviceStream(Device device);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_DEVICE_STREAM_H_
