#include "bitgrad/core/exec_context.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

namespace bitgrad {

ExecContext::ExecContext(const Options& options)
    : device_(options.device),
      threads_(options.threads > 0 ? options.threads
                                   : std::max(1, static_cast<int>(std::thread::hardware_concurrency()))),
      backward_precision_(options.backward),
      seed_(options.seed) {
  std::unique_ptr<DeviceStream> stream;
  if (device_ != Device::kCpu) {
    absl::StatusOr<std::unique_ptr<DeviceStream>> made = NewDeviceStream(device_);
    if (made.ok()) {
      stream = *std::move(made);
      stream_ = stream.get();
    } else {
      status_ = made.status();
    }
  }
  allocator_ = PoolAllocator::New(std::move(stream));
}

void ExecContext::Upload(void* device, const void* host, size_t bytes) {
  ++transfers_;
  if (stream_ != nullptr) {
    stream_->Upload(device, host, bytes);
  } else {
    std::memcpy(device, host, bytes);
  }
}

void ExecContext::Download(void* host, const void* device, size_t bytes) {
  ++transfers_;
  if (stream_ != nullptr) {
    stream_->Download(host, device, bytes);
    Synchronize();
  } else {
    std::memcpy(host, device, bytes);
  }
}

const absl::Status& ExecContext::Synchronize() {
  ++transfers_;
  if (stream_ != nullptr) {
    if (absl::Status error = stream_->Synchronize(); !error.ok()) ReportError(std::move(error));
  }
  return status_;
}

}  // namespace bitgrad
