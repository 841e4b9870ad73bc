// Copies between the host and the GPU that nobody waits for. They use page-locked memory of the host, because only with
// that the copy engines work while kernels run.

#ifndef BITGRAD_OPS_CUDA_CUDA_TRANSFERS_H_
#define BITGRAD_OPS_CUDA_CUDA_TRANSFERS_H_

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/ops/cuda/cuda_stream.h"

namespace bitgrad {

// Implement DeviceStream::NewFeed() and NewReadback(). REQUIRES: `stream` is the handle of `owner`.
absl::StatusOr<std::unique_ptr<DeviceStream::Feed>> NewCudaFeed(CudaStream& owner, cudaStream_t stream, void* block,
                                                                size_t bytes);
absl::StatusOr<std::unique_ptr<DeviceStream::Readback>> NewCudaReadback(CudaStream& owner, cudaStream_t stream,
                                                                        const void* block, size_t bytes);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CUDA_CUDA_TRANSFERS_H_
