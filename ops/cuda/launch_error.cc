#include "bitgrad/ops/cuda/launch_error.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/cuda/cuda_status.h"

namespace bitgrad::cuda {

void ReportLaunchError(ExecContext& context, const char* name, cudaError_t error) {
  context.ReportError(CudaStatus(error, absl::StrCat("kernel '", name, "'")));
}

}  // namespace bitgrad::cuda
