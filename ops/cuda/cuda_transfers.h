// Copies between the host and the GPU that nobody waits for: from and to page-locked memory, which alone the copy
// engines can reach while kernels run.

#ifndef BITGRAD_OPS_CUDA_CUDA_TRANSFERS_H_
#define BITGRAD_OPS_CUDA_CUDA_TRANSFERS_H_

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/ops/cuda/cuda_stream.h"

namespace bitgrad {

// See DeviceStream::NewFeed() and NewReadback(). `stream` is the owner's handle.
absl::StatusOr<std::unique_ptr<DeviceStream::Feed>> NewCudaFeed(CudaStream& owner, cudaStream_t stream, void* block,
                                                                size_t bytes);
absl::StatusOr<std::unique_ptr<DeviceStream::Readback>> NewCudaReadback(CudaStream& owner, cudaStream_t stream,
                                                                        const void* block, size_t bytes);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CUDA_CUDA_TRANSFERS_H_
