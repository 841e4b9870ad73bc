// The GPU's kernels, or, in a build without CUDA, a table without any (cuda_kernels_stub.cc). Which of the two
// is linked is one select() in BUILD.bazel.

#ifndef BITGRAD_OPS_CUDA_CUDA_KERNELS_H_
#define BITGRAD_OPS_CUDA_CUDA_KERNELS_H_

#include "absl/status/status.h"
#include "ops/kernels/kernels.h"

namespace bitgrad {

const Kernels& CudaKernels();

// OK where kernels can run on a GPU here; otherwise why not, and what to do.
absl::Status CudaStatus();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CUDA_CUDA_KERNELS_H_
