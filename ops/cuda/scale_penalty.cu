// BNN+'s penalty of the distance between weights and their scale. Each kernel reads every weight once, 4 bytes; the
// backward pass also writes a gradient for each.

#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/block_sum.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

__device__ double Penalty(ScalePenaltyKind kind, float distance) {
  return static_cast<double>(kind == ScalePenaltyKind::kR1 ? fabsf(distance) : distance * distance);
}

// The derivative of the penalty by the distance alpha - |w|.
__device__ float Slope(ScalePenaltyKind kind, float distance) {
  if (kind == ScalePenaltyKind::kR2) return 2.0f * distance;
  return distance > 0.0f ? 1.0f : distance < 0.0f ? -1.0f : 0.0f;
}

// One block for each row. The sum of the slopes of row i goes to sums[i].
__global__ void BackwardKernel(ScalePenaltyKind kind, ConstMatrixView<float> w, const float* alpha,
                               int64_t alpha_stride, const float* dy, MatrixView<float> dw, double* sums) {
  for (int64_t i = blockIdx.x; i < w.rows; i += gridDim.x) {
    const float a = alpha[i * alpha_stride];
    double sum = 0;
    for (int64_t j = threadIdx.x; j < w.cols; j += kThreads) {
      const float x = w.at(i, j);
      const float slope = Slope(kind, a - fabsf(x));
      sum += static_cast<double>(slope);
      const float scaled = *dy * slope;
      dw.at(i, j) = x >= 0.0f ? -scaled : scaled;
    }
    sum = BlockSum(sum);
    if (threadIdx.x == 0) sums[i] = sum;
  }
}

}  // namespace

void ScalePenaltyForward(ExecContext& context, ScalePenaltyKind kind, ConstMatrixView<float> w, const float* alpha,
                         int64_t alpha_stride, float* y) {
  const int64_t count = w.size();
  SumOverGrid(
      context, "scale_penalty_forward", SumBlocks(count),
      [=] __device__() {
        const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
        double sum = 0;
        for (int64_t k = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += step) {
          const int64_t i = k / w.cols;
          sum += Penalty(kind, alpha[i * alpha_stride] - fabsf(w.at(i, k - i * w.cols)));
        }
        return sum;
      },
      [=] __device__(double sum) { *y = static_cast<float>(sum); });
}

void ScalePenaltyBackward(ExecContext& context, ScalePenaltyKind kind, ConstMatrixView<float> w, const float* alpha,
                          int64_t alpha_stride, const float* dy, MatrixView<float> dw, float* dalpha) {
  BITGRAD_DCHECK(dw.rows == w.rows && dw.cols == w.cols);
  const Scratch<double> sums(context, w.rows);
  if (w.rows > 0) {
    Launch(context, "scale_penalty_backward", BackwardKernel, OverElements(w.rows * kThreads), kind, w, alpha,
           alpha_stride, dy, dw, sums.data());
  }
  const double* const row_sums = sums.data();
  if (alpha_stride != 0) {
    ForElements(context, "scale_penalty_backward", w.rows,
                [=] __device__(int64_t i) { dalpha[i] = static_cast<float>(row_sums[i] * *dy); });
    return;
  }
  const int64_t rows = w.rows;
  SumOverGrid(
      context, "scale_penalty_backward", 1,
      [=] __device__() {
        double sum = 0;
        for (int64_t i = threadIdx.x; i < rows; i += kThreads) sum += row_sums[i];
        return sum;
      },
      [=] __device__(double sum) { *dalpha = static_cast<float>(sum * *dy); });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
