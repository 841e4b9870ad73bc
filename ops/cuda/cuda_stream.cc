#include "ops/cuda/cuda_stream.h"

#include <cstdio>
#include <cstdlib>

#include "ops/cuda/cuda_status.h"

namespace bitgrad {

absl::StatusOr<std::unique_ptr<DeviceStream>> CudaStream::New() {
  cudaStream_t stream;
  // Not the default stream: that one cannot be captured, and waits for all others.
  BITGRAD_RETURN_IF_CUDA_ERROR(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return std::unique_ptr<DeviceStream>(new CudaStream(stream));
}

CudaStream::~CudaStream() {
  cudaStreamSynchronize(stream_);
  cudaStreamDestroy(stream_);
}

void* CudaStream::Allocate(size_t bytes) {
  void* block = nullptr;
  const cudaError_t error = cudaMalloc(&block, bytes);
  if (error != cudaSuccess) {
    // As on the host: nobody could go on without the block.
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    std::fprintf(stderr, "bitgrad: out of GPU memory: %zu bytes asked for, %zu of %zu are free (%s)\n", bytes, free, total,
                 CudaText(error).c_str());
    std::abort();
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

// Callers give pageable memory, which cudaMemcpyAsync has read when it returns.
void CudaStream::Upload(void* device, const void* host, size_t bytes) {
  if (bytes == 0) return;
  Keep(CudaStatus(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync to the GPU"));
}

void CudaStream::Download(void* host, const void* device, size_t bytes) {
  if (bytes > 0) {
    Keep(CudaStatus(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync from the GPU"));
  }
  Synchronize().IgnoreError();
}

absl::Status CudaStream::Synchronize() {
  Keep(CudaStatus(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"));
  return status_;
}

}  // namespace bitgrad
