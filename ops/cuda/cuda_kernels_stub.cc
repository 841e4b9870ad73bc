// Linked where the CUDA kernels are not part of the build.

#include "ops/cuda/cuda_kernels.h"

namespace bitgrad {

const Kernels& CudaKernels() {
  static constexpr Kernels kNone;
  return kNone;
}

absl::Status CudaStatus() {
  return absl::UnimplementedError(
      "device 'cuda': this build of bitgrad has no CUDA kernels; use --device=cpu");
}

}  // namespace bitgrad
