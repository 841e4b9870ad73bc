// Losses work on a batch of logits, a small matrix: one warp computes one row, and the time is that of the launch.
// Where the classes are the words of a language, the time is that of reading the logits (they stay in the L2 cache).

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/block_sum.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/exponential.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// Enough blocks for one warp per row, but no more than SumBlocks() allows.
int RowBlocks(int64_t rows) {
  return static_cast<int>(std::clamp<int64_t>((rows + kWarpsPerBlock - 1) / kWarpsPerBlock, 1, 132 * 8));
}

// Calls f(i, lane) for the rows of this warp.
template <typename F>
__device__ void ForEachWarpRow(int64_t rows, const F& f) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kWarpsPerBlock;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.x / 32; i < rows; i += step) {
    f(i, static_cast<int>(threadIdx.x % 32));
  }
}

// fmaxf ignores NaN; the row's sum is NaN then.
__device__ float WarpMax(float x) {
  for (int flip = 16; flip > 0; flip /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, flip));
  return x;
}

__device__ float Target(int64_t j, int32_t label) { return j == label ? 1.0f : -1.0f; }

// max(0, 1 - t y); NaN where y is NaN.
__device__ float Hinge(float target, float y) {
  const float slack = 1.0f - target * y;
  return slack <= 0.0f ? 0.0f : slack;
}

// Writes what the row's softmax is made from. Returns its loss in lane 0, and 0 in the other lanes.
__device__ double RowLoss(const float* x, int64_t cols, int32_t label, SoftmaxRow* row, int lane) {
  float max = -INFINITY;
  for (int64_t j = lane; j < cols; j += 32) max = fmaxf(max, x[j]);
  max = WarpMax(max);
  double total = 0;
  for (int64_t j = lane; j < cols; j += 32) total += Exponential(x[j] - max);
  total = WarpSum(total);
  if (lane != 0) return 0.0;
  *row = {max, static_cast<float>(1.0 / total)};
  // Computed from the logit: the label's probability underflows where its logarithm does not.
  return log(total) - (static_cast<double>(x[label]) - max);
}

// Whether the row is an error, in all lanes: its argmax (the first of equal maxima) is not the label, or it has a NaN.
__device__ bool IsError(const float* x, int64_t cols, int32_t label, int lane) {
  float best = -INFINITY;
  int64_t at = cols;  // no element: any element of equal value comes before it
  bool nan = false;
  for (int64_t j = lane; j < cols; j += 32) {
    const float v = x[j];
    nan |= v != v;
    if (v > best || at == cols) {
      best = v;
      at = j;
    }
  }
  for (int flip = 16; flip > 0; flip /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, best, flip);
    const int64_t other_at = __shfl_xor_sync(0xffffffffu, at, flip);
    if (other > best || (other == best && other_at < at)) {
      best = other;
      at = other_at;
    }
  }
  return __any_sync(0xffffffffu, nan) || at != label;
}

__global__ void CountErrorsKernel(ConstMatrixView<float> logits, const int32_t* labels, unsigned long long* errors) {
  int wrong = 0;
  ForEachWarpRow(logits.rows, [&](int64_t i, int lane) {
    const bool error = IsError(logits.row(i), logits.cols, labels[i], lane);
    if (lane == 0) wrong += error;
  });
  wrong = BlockSum(wrong);
  if (threadIdx.x == 0 && wrong > 0) atomicAdd(errors, static_cast<unsigned long long>(wrong));
}

}  // namespace

void SoftmaxCrossEntropyForward(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels,
                                SoftmaxRow* rows, float* loss) {
  const int64_t count = logits.rows;
  SumOverGrid(
      context, "softmax_cross_entropy_forward", RowBlocks(count),
      [=] __device__() {
        double sum = 0;
        ForEachWarpRow(
            count, [&](int64_t i, int lane) { sum += RowLoss(logits.row(i), logits.cols, labels[i], rows + i, lane); });
        return sum;
      },
      [=] __device__(double sum) { *loss = count == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(count)); });
}

void SoftmaxCrossEntropyBackward(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels,
                                 const SoftmaxRow* rows, const float* dloss, MatrixView<float> dlogits) {
  BITGRAD_DCHECK(logits.rows == dlogits.rows && logits.cols == dlogits.cols);
  const float count = static_cast<float>(std::max<int64_t>(1, logits.rows));
  ForCells(context, "softmax_cross_entropy_backward", dlogits.rows, dlogits.cols, [=] __device__(int64_t i, int64_t j) {
    const float factor = *dloss / count;
    const float p = Exponential(logits.at(i, j) - rows[i].max) * rows[i].scale;
    dlogits.at(i, j) = factor * (j == labels[i] ? p - 1.0f : p);
  });
}

void SquaredHingeForward(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels, float scale,
                         float* loss) {
  SumOverGrid(
      context, "squared_hinge_forward", RowBlocks(logits.rows),
      [=] __device__() {
        double sum = 0;
        ForEachWarpRow(logits.rows, [&](int64_t i, int lane) {
          for (int64_t j = lane; j < logits.cols; j += 32) {
            const double hinge = Hinge(Target(j, labels[i]), logits.at(i, j));
            sum += hinge * hinge;
          }
        });
        return sum;
      },
      [=] __device__(double sum) { *loss = static_cast<float>(scale * sum); });
}

void SquaredHingeBackward(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels, float scale,
                          const float* dloss, MatrixView<float> dlogits) {
  BITGRAD_DCHECK(logits.rows == dlogits.rows && logits.cols == dlogits.cols);
  ForCells(context, "squared_hinge_backward", dlogits.rows, dlogits.cols, [=] __device__(int64_t i, int64_t j) {
    const float factor = *dloss * scale * -2.0f;
    const float target = Target(j, labels[i]);
    dlogits.at(i, j) = factor * target * Hinge(target, logits.at(i, j));
  });
}

void SquaredErrorForward(ExecContext& context, const float* y, const float* target, int64_t count, float scale,
                         float* loss) {
  SumOverGrid(
      context, "squared_error_forward", SumBlocks(count),
      [=] __device__() {
        double sum = 0;
        ForEachElement(count, [&](int64_t i) {
          const double d = static_cast<double>(y[i]) - target[i];
          sum += d * d;
        });
        return sum;
      },
      [=] __device__(double sum) { *loss = static_cast<float>(scale * sum); });
}

void SquaredErrorBackward(ExecContext& context, const float* y, const float* target, int64_t count, float scale,
                          const float* dloss, float* dy) {
  ForElements(context, "squared_error_backward", count, [=] __device__(int64_t i) {
    const float factor = *dloss * scale * 2.0f;
    dy[i] = factor * (y[i] - target[i]);
  });
}

void CountErrors(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels, int64_t* errors) {
  context.allocator().Zero(errors, sizeof(*errors));
  if (logits.rows == 0) return;
  Launch(context, "count_errors", CountErrorsKernel, {dim3(RowBlocks(logits.rows)), dim3(kThreads)}, logits, labels,
         reinterpret_cast<unsigned long long*>(errors));
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
