// A quantizer's statistic (ops/kernels/quantize.h) as kernels access it.

#ifndef BITGRAD_OPS_CUDA_ROW_STATISTIC_H_
#define BITGRAD_OPS_CUDA_ROW_STATISTIC_H_

#include <cstdint>

#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

struct RowStatistic {
  const float* data;
  int64_t stride;  // 1 where each row has its own statistic, else 0

  // The statistic of row i; 0 where the quantizer has none.
  __device__ float of(int64_t i) const { return data == nullptr ? 0.0f : data[i * stride]; }
};

inline RowStatistic RowStatisticOf(const Quantizer& quantizer, const float* statistic) {
  switch (quantizer.statistic()) {
    case Statistic::kNone: break;
    case Statistic::kMeanAbs:
    case Statistic::kMaxAbsTanh: return {statistic, 0};
    case Statistic::kRowMaxAbs: return {statistic, 1};
  }
  return {nullptr, 0};
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_ROW_STATISTIC_H_
