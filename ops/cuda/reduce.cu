// Sums and means of magnitudes. All read each element once: 4 bytes per element, and no more memory traffic worth
// counting.

#include <cmath>
#include <cstdint>

#include "core/check.h"
#include "ops/cuda/block_sum.h"
#include "ops/cuda/column_sums.h"
#include "ops/cuda/device.h"
#include "ops/cuda/functions.h"
#include "ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// From here on a block for each row; narrower rows get a warp each.
constexpr int64_t kWideRow = 1024;

__global__ void MeanAbsWideRowsKernel(ConstMatrixView<float> x, float* y) {
  for (int64_t i = blockIdx.x; i < x.rows; i += gridDim.x) {
    const float* const row = x.row(i);
    double sum = 0;
#pragma unroll 4
    for (int64_t j = threadIdx.x; j < x.cols; j += kThreads) sum += fabsf(row[j]);
    sum = BlockSum(sum);
    if (threadIdx.x == 0) y[i] = static_cast<float>(sum / static_cast<double>(x.cols));
  }
}

__global__ void MeanAbsRowsKernel(ConstMatrixView<float> x, float* y) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kWarpsPerBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.x / 32; i < x.rows; i += step) {
    const float* const row = x.row(i);
    double sum = 0;
#pragma unroll 4
    for (int64_t j = lane; j < x.cols; j += 32) sum += fabsf(row[j]);
    sum = WarpSum(sum);
    if (lane == 0) y[i] = static_cast<float>(sum / static_cast<double>(x.cols));
  }
}

}  // namespace

void SumRows(ExecContext& context, ConstMatrixView<float> x, bool accumulate, float* y) {
  SumColumns<1>(
      context, "sum_rows", x.rows, x.cols,
      [=] __device__(int64_t i, int64_t j, double* sums) { sums[0] += x.at(i, j); },
      [=] __device__(int64_t j, const double* sums) {
        y[j] = static_cast<float>(accumulate ? y[j] + sums[0] : sums[0]);
      });
}

void SumAll(ExecContext& context, const float* x, int64_t count, float scale, float* y) {
  SumOverGrid(
      context, "sum_all", SumBlocks(count),
      [=] __device__() { return SumOfElements(x, count, [](float v) { return static_cast<double>(v); }); },
      [=] __device__(double sum) { *y = static_cast<float>(scale * sum); });
}

void MeanAbsRows(ExecContext& context, ConstMatrixView<float> x, float* y) {
  BITGRAD_DCHECK(x.cols > 0);
  if (x.rows == 0) return;
  if (x.cols >= kWideRow) {
    Launch(context, "mean_abs_rows", MeanAbsWideRowsKernel, OverElements(x.rows * kThreads), x, y);
  } else {
    Launch(context, "mean_abs_rows", MeanAbsRowsKernel, OverElements(x.rows * 32), x, y);
  }
}

void MeanAbsRowsBackward(ExecContext& context, ConstMatrixView<float> x, const float* dy, MatrixView<float> dx) {
  BITGRAD_DCHECK(x.cols > 0 && dx.rows == x.rows && dx.cols == x.cols);
  const float count = static_cast<float>(x.cols);
  ForCells(context, "mean_abs_rows_backward", x.rows, x.cols, [=] __device__(int64_t i, int64_t j) {
    const float value = dy[i] / count;
    dx.at(i, j) = x.at(i, j) >= 0.0f ? value : -value;
  });
}

void AddSumOfSquares(ExecContext& context, const float* x, int64_t count, double* y) {
  SumOverGrid(
      context, "add_sum_of_squares", SumBlocks(count),
      [=] __device__() { return SumOfElements(x, count, [](float v) { return static_cast<double>(v) * v; }); },
      [=] __device__(double sum) { *y += sum; });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
