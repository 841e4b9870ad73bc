#include "bitgrad/ops/cuda/cuda_status.h"

#include "absl/strings/str_cat.h"

namespace bitgrad {

std::string CudaText(cudaError_t error) {
  return absl::StrCat(cudaGetErrorName(error), " (", static_cast<int>(error), "): ", cudaGetErrorString(error));
}

absl::Status CudaStatus(cudaError_t error, absl::string_view call) {
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cuda: ", call, ": ", CudaText(error)));
}

}  // namespace bitgrad
