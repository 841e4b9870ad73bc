// Single codes of matrices that are stored in bytes or in bit planes, for kernels that are not limited by reading them.

#ifndef BITGRAD_OPS_CUDA_PLANE_CODES_H_
#define BITGRAD_OPS_CUDA_PLANE_CODES_H_

#include <cstdint>

#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The codes of what is stored.
struct DecodedCodes {
  bool is_log;
  LogCodes log_codes;
  int32_t least, step;

  explicit DecodedCodes(const Encoding& encoding)
      : is_log(encoding.is_log()),
        log_codes(encoding.log_codes()),
        least(static_cast<int32_t>(encoding.least_code())),
        step(static_cast<int32_t>(encoding.code_step())) {}

  // REQUIRES: the code is a T.
  template <typename T>
  __device__ __forceinline__ T Of(int32_t stored) const {
    if (is_log) return static_cast<T>(CodeOfRank(log_codes.Rank(stored)));
    return static_cast<T>(least + step * stored);
  }
};

struct PlaneCodes {
  const uint64_t* planes[kMaxCodeBits];
  int64_t stride;
  int bits;
  DecodedCodes codes;

  explicit PlaneCodes(const ConstPlanesView& w)
      : planes{}, stride(w.planes[0].stride), bits(w.encoding.bits), codes(w.encoding) {
    for (int q = 0; q < bits; ++q) planes[q] = w.planes[q].words;
  }

  // REQUIRES: the code is a T.
  template <typename T>
  __device__ __forceinline__ T At(int64_t row, int64_t index) const {
    int32_t stored = 0;
    for (int q = 0; q < bits; ++q) {
      stored |= static_cast<int32_t>(planes[q][row * stride + index / 64] >> index % 64 & 1) << q;
    }
    return codes.Of<T>(stored);
  }
};

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_PLANE_CODES_H_
