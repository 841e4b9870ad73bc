// Separate from launch.h, which only nvcc can compile.

#ifndef BITGRAD_OPS_CUDA_LAUNCH_ERROR_H_
#define BITGRAD_OPS_CUDA_LAUNCH_ERROR_H_

#include <cuda_runtime.h>

#include "bitgrad/core/exec_context.h"

namespace bitgrad::cuda {

// Reports to the context that kernel `name` could not be launched.
void ReportLaunchError(ExecContext& context, const char* name, cudaError_t error);

}  // namespace bitgrad::cuda

#endif  // BITGRAD_OPS_CUDA_LAUNCH_ERROR_H_
