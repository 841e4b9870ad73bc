// From dot products to codes, by counting the thresholds that they reach (DotOutput::codes).

#ifndef BITGRAD_OPS_CUDA_LEVELS_H_
#define BITGRAD_OPS_CUDA_LEVELS_H_

#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

struct Levels {
  const int32_t* threshold;
  int64_t stride;  // from one level to the next
  const uint8_t* flip;
  int count;

  explicit Levels(const DotOutput& out)
      : threshold(out.threshold),
        stride(out.level_stride != 0 ? out.level_stride : out.cols()),
        flip(out.flip),
        count(out.levels) {}

  // The code of output j.
  __device__ __forceinline__ uint8_t Code(int64_t j, int32_t dot) const {
    int reached = 0;
    // Not unrolled, because the epilogues of products hold a copy of this for each of their cells.
#pragma unroll 1
    for (int l = 0; l < count; ++l) reached += dot >= threshold[l * stride + j] ? 1 : 0;
    return static_cast<uint8_t>(flip[j] != 0 ? count - reached : reached);
  }
};

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_LEVELS_H_
