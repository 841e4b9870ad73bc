// CUDA's errors as absl::Status.

#ifndef BITGRAD_OPS_CUDA_CUDA_STATUS_H_
#define BITGRAD_OPS_CUDA_CUDA_STATUS_H_

#include <cuda_runtime.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

// CUDA's name and text of an error: "cudaErrorNoDevice (100): no CUDA-capable device is detected".
std::string CudaText(cudaError_t error);

// OK, or an error that names what was called.
absl::Status CudaStatus(cudaError_t error, absl::string_view call);

#define BITGRAD_RETURN_IF_CUDA_ERROR(call)                                                  \
  do {                                                                                      \
    if (const cudaError_t bitgrad_cuda_error = (call); bitgrad_cuda_error != cudaSuccess) { \
      return ::bitgrad::CudaStatus(bitgrad_cuda_error, #call);                              \
    }                                                                                       \
  } while (false)

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CUDA_CUDA_STATUS_H_
