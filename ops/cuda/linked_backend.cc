// Linked where the CUDA kernels are part of the build. Nothing here touches the driver before a context on the GPU is
// made or CudaBackend::status is called, so programs on the CPU start as fast as in a build without CUDA.

#include <cuda_runtime.h>

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/cuda/cuda_backend.h"
#include "bitgrad/ops/cuda/cuda_status.h"
#include "bitgrad/ops/cuda/cuda_stream.h"
#include "bitgrad/ops/cuda/kernel_table.h"

namespace bitgrad {
namespace {

absl::Status Probe() {
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    return absl::FailedPreconditionError(
        absl::StrCat("device 'cuda': no usable GPU: ", CudaText(error), "; use --device=cpu"));
  }
  if (count == 0) return absl::FailedPreconditionError("device 'cuda': this machine has no GPU; use --device=cpu");
  cudaDeviceProp properties;
  BITGRAD_RETURN_IF_CUDA_ERROR(cudaGetDeviceProperties(&properties, 0));
  if (properties.major < 8) {
    return absl::FailedPreconditionError(absl::StrCat(
        "device 'cuda': ", properties.name, " has compute capability ", properties.major, ".", properties.minor,
        ", bitgrad needs 8.0 or later; use --device=cpu or choose another GPU with CUDA_VISIBLE_DEVICES"));
  }
  return absl::OkStatus();
}

absl::Status ProbeOnce() {
  static const absl::Status* const kStatus = new absl::Status(Probe());
  return *kStatus;
}

absl::StatusOr<std::unique_ptr<DeviceStream>> NewStream() {
  if (absl::Status error = ProbeOnce(); !error.ok()) return error;
  return CudaStream::New();
}

}  // namespace

const CudaBackend& LinkedCudaBackend() {
  static const CudaBackend kGpu = {cuda::CudaKernels, ProbeOnce, NewStream};
  return kGpu;
}

}  // namespace bitgrad
