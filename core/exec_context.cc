#include "bitgrad/core/exec_context.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

// The context runs with one thread where the number asked for is an error.
int ThreadsFor(int asked) {
  if (asked < 0 || asked > ExecContext::kMaxThreads) return 1;
  if (asked > 0) return asked;
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, ExecContext::kMaxThreads);
}

}  // namespace

ExecContext::ExecContext(const Options& options)
    : device_(options.device),
      threads_(ThreadsFor(options.threads)),
      backward_precision_(options.backward),
      seed_(options.seed) {
  if (options.threads < 0 || options.threads > kMaxThreads) {
    status_ = absl::InvalidArgumentError(absl::StrCat("threads: ", options.threads, " is not in [0, ", kMaxThreads,
                                                      "]; 0 stands for one per hardware thread"));
  }
  std::unique_ptr<DeviceStream> stream;
  if (device_ != Device::kCpu) {
    absl::StatusOr<std::unique_ptr<DeviceStream>> made = NewDeviceStream(device_);
    if (made.ok()) {
      stream = *std::move(made);
      stream_ = stream.get();
    } else {
      ReportError(made.status());
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
