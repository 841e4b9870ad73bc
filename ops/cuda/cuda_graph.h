// Recorded work as a CUDA graph.

#ifndef BITGRAD_OPS_CUDA_CUDA_GRAPH_H_
#define BITGRAD_OPS_CUDA_CUDA_GRAPH_H_

#include <cuda_runtime.h>

#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/ops/cuda/cuda_stream.h"

namespace bitgrad {

// Ends the capture of `stream` and returns what was captured. REQUIRES: `stream` is the handle of `owner`.
absl::StatusOr<std::unique_ptr<DeviceStream::Recording>> EndCapture(CudaStream& owner, cudaStream_t stream);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CUDA_CUDA_GRAPH_H_
