#include "bitgrad/ops/cuda/tensor_map.h"

#include <cuda.h>
#include <cuda_runtime.h>

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/cuda/cuda_status.h"

namespace bitgrad::cuda {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

// Looked up in the running driver, so that programs need not be linked with it.
Encode FindEncode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found) !=
          cudaSuccess ||
      found != cudaDriverEntryPointSuccess) {
    return nullptr;
  }
  return reinterpret_cast<Encode>(function);
}

int Attribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&value, attribute, device);
  return value;
}

}  // namespace

CUtensorMap MakeTensorMap(ExecContext& context, const TensorOperand& operand, int64_t row_bytes, int box_rows) {
  static const Encode encode = FindEncode();
  CUtensorMap map = {};
  if (encode == nullptr) {
    context.ReportError(
        absl::InternalError("cuda: the driver has no cuTensorMapEncodeTiled; update it to 12.0 or later"));
    return map;
  }
  const cuuint64_t extents[] = {static_cast<cuuint64_t>(row_bytes), static_cast<cuuint64_t>(operand.rows)};
  const cuuint64_t strides[] = {static_cast<cuuint64_t>(operand.stride)};
  const cuuint32_t box[] = {128, static_cast<cuuint32_t>(box_rows)};
  const cuuint32_t steps[] = {1, 1};
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 2, const_cast<unsigned char*>(operand.planes[0]), extents, strides,
             box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    context.ReportError(
        absl::InternalError(absl::StrCat("cuda: cuTensorMapEncodeTiled: error ", static_cast<int>(result), " for ",
                                         operand.rows, " rows of ", row_bytes, " bytes")));
  }
  return map;
}

int Multiprocessors() {
  static const int count = Attribute(cudaDevAttrMultiProcessorCount);
  return count;
}

int ComputeCapability() {
  static const int capability =
      10 * Attribute(cudaDevAttrComputeCapabilityMajor) + Attribute(cudaDevAttrComputeCapabilityMinor);
  return capability;
}

}  // namespace bitgrad::cuda
