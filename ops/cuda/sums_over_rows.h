// Sums over the rows of a matrix, in double and always in the same order. A wide row gets a block, a narrow one a warp.
//
//   SumOverRows(context, "quantize_statistic", m, n,
//               [=] __device__(int64_t i, int64_t j) { return static_cast<double>(fabsf(x.at(i, j))); },
//               [=] __device__(int64_t i, double sum) { y[i] = static_cast<float>(sum / n); });

#ifndef BITGRAD_OPS_CUDA_SUMS_OVER_ROWS_H_
#define BITGRAD_OPS_CUDA_SUMS_OVER_ROWS_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/block_sum.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Rows with at least this many columns get a block each.
inline constexpr int64_t kWideRow = 1024;

template <typename Term, typename Finish>
__global__ void SumWideRowsKernel(int64_t rows, int64_t cols, Term term, Finish finish) {
  for (int64_t i = blockIdx.x; i < rows; i += gridDim.x) {
    double sum = 0;
#pragma unroll 4
    for (int64_t j = threadIdx.x; j < cols; j += kThreads) sum += term(i, j);
    sum = BlockSum(sum);
    if (threadIdx.x == 0) finish(i, sum);
  }
}

template <typename Term, typename Finish>
__global__ void SumRowsKernel(int64_t rows, int64_t cols, Term term, Finish finish) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kWarpsPerBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.x / 32; i < rows; i += step) {
    double sum = 0;
#pragma unroll 4
    for (int64_t j = lane; j < cols; j += 32) sum += term(i, j);
    sum = WarpSum(sum);
    if (lane == 0) finish(i, sum);
  }
}

// Enqueues finish(i, sum of term(i, j) over j < cols) for each row i.
template <typename Term, typename Finish>
void SumOverRows(ExecContext& context, const char* name, int64_t rows, int64_t cols, const Term& term,
                 const Finish& finish) {
  if (rows == 0) return;
  if (cols >= kWideRow) {
    Launch(context, name, SumWideRowsKernel<Term, Finish>, OverElements(rows * kThreads), rows, cols, term, finish);
  } else {
    Launch(context, name, SumRowsKernel<Term, Finish>, OverElements(rows * 32), rows, cols, term, finish);
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_SUMS_OVER_ROWS_H_
