// Linked where the CUDA kernels are not part of the build.

#include "bitgrad/ops/cuda/cuda_backend.h"

namespace bitgrad {
namespace {

absl::Status NoKernels() {
  return absl::UnimplementedError(
      "device 'cuda': this build of bitgrad has no CUDA kernels (no CUDA toolkit was found, or --define=cuda=off was "
      "given); use "
      "--device=cpu");
}

const Kernels& EmptyTable() {
  static constexpr Kernels kNone;
  return kNone;
}

}  // namespace

const CudaBackend& LinkedCudaBackend() {
  static const CudaBackend kStub = {EmptyTable, NoKernels,
                                    []() -> absl::StatusOr<std::unique_ptr<DeviceStream>> { return NoKernels(); }};
  return kStub;
}

}  // namespace bitgrad
