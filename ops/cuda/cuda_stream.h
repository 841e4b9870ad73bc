// A CUDA stream, and memory for its work, on the current GPU (the first of CUDA_VISIBLE_DEVICES).

#ifndef BITGRAD_OPS_CUDA_CUDA_STREAM_H_
#define BITGRAD_OPS_CUDA_CUDA_STREAM_H_

#include <cuda_runtime.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/device_stream.h"

namespace bitgrad {

// Blocks come from cudaMalloc, which is slow and waits for the GPU. The pool of the ExecContext sits on top, so that
// only the first step calls it.
class CudaStream final : public DeviceStream {
 public:
  static absl::StatusOr<std::unique_ptr<DeviceStream>> New();
  ~CudaStream() override;

  void* Allocate(size_t bytes) override;
  void Deallocate(void* block, size_t bytes) override;
  void Zero(void* block, size_t bytes) override;
  void Copy(void* to, const void* from, size_t bytes) override;
  Device device() const override { return Device::kCuda; }

  void Upload(void* device, const void* host, size_t bytes) override;
  void Download(void* host, const void* device, size_t bytes) override;
  absl::Status Synchronize() override;
  void* handle() override { return stream_; }
  absl::Status BeginRecording() override;
  absl::StatusOr<std::unique_ptr<Recording>> EndRecording() override;
  absl::StatusOr<std::unique_ptr<Feed>> NewFeed(void* block, size_t bytes) override;
  absl::StatusOr<std::unique_ptr<Readback>> NewReadback(const void* block, size_t bytes) override;

  // Keeps the first error, which Synchronize() returns.
  void Keep(absl::Status status) {
    if (status_.ok()) status_ = status;
  }

 private:
  explicit CudaStream(cudaStream_t stream) : stream_(stream) {}
  // Whether the host may copy or wait now. While work is being recorded it may not; that is kept as an error.
  bool MayTransfer();

  cudaStream_t stream_;
  bool recording_ = false;
  absl::Status status_;
};

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CUDA_CUDA_STREAM_H_
