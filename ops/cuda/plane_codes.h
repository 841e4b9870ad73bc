// Single codes of a matrix that is stored in bit planes, for kernels that are not limited by reading them.

#ifndef BITGRAD_OPS_CUDA_PLANE_CODES_H_
#define BITGRAD_OPS_CUDA_PLANE_CODES_H_

#include <cstdint>

#include "bitgrad/core/log_code.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

struct PlaneCodes {
  const uint64_t* planes[kMaxCodeBits];
  int64_t stride;
  int bits;
  bool is_log;
  int32_t least, step;

  explicit PlaneCodes(const ConstPlanesView& w)
      : planes{},
        stride(w.planes[0].stride),
        bits(w.encoding.bits),
        is_log(!w.encoding.is_affine()),
        least(static_cast<int32_t>(w.encoding.least_code())),
        step(static_cast<int32_t>(w.encoding.code_step())) {
    for (int q = 0; q < bits; ++q) planes[q] = w.planes[q].words;
  }

  // REQUIRES: the code is a T.
  template <typename T>
  __device__ __forceinline__ T At(int64_t row, int64_t index) const {
    int32_t stored = 0;
    for (int q = 0; q < bits; ++q) {
      stored |= static_cast<int32_t>(planes[q][row * stride + index / 64] >> index % 64 & 1) << q;
    }
    if (is_log) return static_cast<T>(CodeOfRank(stored - LargestRank(bits)));
    return static_cast<T>(least + step * stored);
  }
};

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_PLANE_CODES_H_
