// DeviceStream: a queue of work on a device other than the host, and the memory that this work uses.
//
// An ExecContext on such a device owns one. Kernels and copies run in the order in which they are enqueued, so a block that is
// given back may be handed out again at once: whoever gets it writes to it later in the queue.
//
// core/ knows no device. Code that does (ops/cuda) says with SetDeviceStreamFactory() how a stream is made.

#ifndef BITGRAD_CORE_DEVICE_STREAM_H_
#define BITGRAD_CORE_DEVICE_STREAM_H_

#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/allocator.h"
#include "core/device.h"

namespace bitgrad {

class DeviceStream : public Allocator {
 public:
  // Copies from and to the host's memory. Upload has read `host` when it returns; Download waits for all that was enqueued
  // before, and for the bytes.
  virtual void Upload(void* device, const void* host, size_t bytes) = 0;
  virtual void Download(void* host, const void* device, size_t bytes) = 0;

  // Waits for all that was enqueued. The first error that has surfaced, and that one for ever: a device does not recover.
  virtual absl::Status Synchronize() = 0;

  // The device's own handle: a cudaStream_t for CUDA.
  virtual void* handle() = 0;
};

using DeviceStreamFactory = absl::StatusOr<std::unique_ptr<DeviceStream>> (*)();

void SetDeviceStreamFactory(Device device, DeviceStreamFactory factory);

// An error where the device is not part of this program or cannot be used.
absl::StatusOr<std::unique_ptr<DeviceStream>> NewDeviceStream(Device device);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_DEVICE_STREAM_H_
