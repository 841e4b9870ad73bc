#include "bitgrad/ops/cuda/cuda_stream.h"

#include <cstdio>

#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/ops/cuda/cuda_graph.h"
#include "bitgrad/ops/cuda/cuda_status.h"
#include "bitgrad/ops/cuda/cuda_transfers.h"

namespace bitgrad {

absl::StatusOr<std::unique_ptr<DeviceStream>> CudaStream::New() {
  cudaStream_t stream;
  // Not the default stream, which cannot be captured and waits for all other streams.
  BITGRAD_RETURN_IF_CUDA_ERROR(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return std::unique_ptr<DeviceStream>(new CudaStream(stream));
}

CudaStream::~CudaStream() {
  cudaStreamSynchronize(stream_);
  cudaStreamDestroy(stream_);
}

void* CudaStream::Allocate(size_t bytes) {
  void* block = nullptr;
  while (cudaMalloc(&block, bytes) != cudaSuccess) {
    cudaGetLastError();  // Clears the error, which would otherwise be taken for that of the next kernel.
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    char memory[100];
    std::snprintf(memory, sizeof(memory), "GPU memory (%zu of %zu bytes are free)", free, total);
    HandleOutOfMemory(bytes, memory);
  }
  return block;
}

void CudaStream::Deallocate(void* block, size_t) { cudaFree(block); }

void CudaStream::Zero(void* block, size_t bytes) {
  if (bytes > 0) Keep(CudaStatus(cudaMemsetAsync(block, 0, bytes, stream_), "cudaMemsetAsync"));
}

void CudaStream::Copy(void* to, const void* from, size_t bytes) {
  if (bytes == 0) return;
  Keep(CudaStatus(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "cudaMemcpyAsync"));
}

bool CudaStream::MayTransfer() {
  if (recording_)
    Keep(absl::InternalError("device 'cuda': work that is recorded copies to or from the host, or waits"));
  return !recording_;
}

// Callers pass pageable memory; cudaMemcpyAsync has finished reading that when it returns.
void CudaStream::Upload(void* device, const void* host, size_t bytes) {
  if (bytes == 0 || !MayTransfer()) return;
  Keep(CudaStatus(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync to the GPU"));
}

void CudaStream::Download(void* host, const void* device, size_t bytes) {
  if (bytes > 0 && MayTransfer()) {
    Keep(CudaStatus(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_),
                    "cudaMemcpyAsync from the GPU"));
  }
  Synchronize().IgnoreError();
}

absl::Status CudaStream::Synchronize() {
  if (MayTransfer()) Keep(CudaStatus(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"));
  return status_;
}

absl::Status CudaStream::BeginRecording() {
  // Relaxed mode, because the pool may have to allocate memory meanwhile.
  BITGRAD_RETURN_IF_CUDA_ERROR(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed));
  recording_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<DeviceStream::Recording>> CudaStream::EndRecording() {
  recording_ = false;
  return EndCapture(*this, stream_);
}

absl::StatusOr<std::unique_ptr<DeviceStream::Feed>> CudaStream::NewFeed(void* block, size_t bytes) {
  return NewCudaFeed(*this, stream_, block, bytes);
}

absl::StatusOr<std::unique_ptr<DeviceStream::Readback>> CudaStream::NewReadback(const void* block, size_t bytes) {
  return NewCudaReadback(*this, stream_, block, bytes);
}

}  // namespace bitgrad
