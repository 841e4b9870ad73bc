// Kernels of the baseline nets that bitgrad's nets are compared with.

#ifndef BITGRAD_BENCH_CUDA_BASELINES_H_
#define BITGRAD_BENCH_CUDA_BASELINES_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"

namespace bitgrad {

// signs[i, j] = sums[i, j] >= threshold[j] ? +1 : -1, as float (may be `sums`) or as bf16.   [m, n]
void SignsOfSums(ExecContext& context, const float* sums, const int32_t* threshold, int64_t m, int64_t n, float* signs);
void SignsOfSums(ExecContext& context, const float* sums, const int32_t* threshold, int64_t m, int64_t n,
                 uint16_t* signs);

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_CUDA_BASELINES_H_
