// SGD in arithmetic of low precision, one launch for each tensor, and the max-norm constraint, one block for each row.
// Limited by memory: 20 bytes per element with a velocity; 12 for a row that is scaled.

#include "bitgrad/ops/cuda/rounded_sgd.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/block_sum.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/rounding.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

__global__ void RoundedSgdKernel(const __grid_constant__ StepTensor tensor, const RuleNumbers* numbers_of_step,
                                 const StepScalars* scalars, OverflowCell* step_overflows,
                                 OverflowCell* weight_overflows, unsigned long long* counts) {
  if (scalars->failed != 0) return;
  const RuleNumbers numbers = *numbers_of_step;
  const float gradient_scale = scalars->gradient_scale;
  const Rounder round_step(tensor.round_step), round_weight(tensor.round_weight);
  OverflowSum step_sum, weight_sum;
  int64_t flips = 0, at_clip = 0;
  ForEachElement(tensor.count, [&](int64_t i) {
    const float w = tensor.weight[i];
    float step = -numbers.rate * (gradient_scale * tensor.gradient[i] + tensor.weight_decay * w);
    if (tensor.slots[0] != nullptr) step = numbers.momentum * tensor.slots[0][i] + step;
    step = round_step(step, step_sum);
    if (tensor.slots[0] != nullptr) tensor.slots[0][i] = step;
    const float moved = w + tensor.weight_scale * step;
    const float clipped = moved < tensor.least ? tensor.least : moved > tensor.most ? tensor.most : moved;
    const float updated = round_weight(clipped, weight_sum);
    tensor.weight[i] = updated;
    flips += (updated >= 0.0f) != (w >= 0.0f);
    at_clip += updated <= tensor.least || updated >= tensor.most;
  });
  step_sum.AddTo(step_overflows);
  weight_sum.AddTo(weight_overflows);
  flips = BlockSum(flips);
  at_clip = BlockSum(at_clip);
  if (threadIdx.x != 0) return;
  atomicAdd(&counts[0], static_cast<unsigned long long>(flips));
  atomicAdd(&counts[1], static_cast<unsigned long long>(at_clip));
}

__global__ void LimitRowNormsKernel(MatrixView<float> w, float max_norm, const __grid_constant__ Rounding rounding,
                                    const StepScalars* scalars) {
  __shared__ double norm;
  if (scalars->failed != 0) return;
  const Rounder round(rounding);
  for (int64_t i = blockIdx.x; i < w.rows; i += gridDim.x) {
    double sum = 0;
    for (int64_t j = threadIdx.x; j < w.cols; j += kThreads) sum += static_cast<double>(w.at(i, j)) * w.at(i, j);
    sum = BlockSum(sum);
    if (threadIdx.x == 0) norm = sqrt(sum);
    __syncthreads();
    if (norm > max_norm) {
      const float factor = static_cast<float>(max_norm / norm);
      OverflowSum unread;
      for (int64_t j = threadIdx.x; j < w.cols; j += kThreads) w.at(i, j) = round(w.at(i, j) * factor, unread);
    }
    __syncthreads();  // `norm` has been read
  }
}

}  // namespace

void RoundedSgd(ExecContext& context, const RuleNumbers* numbers, const StepScalars* scalars, const StepTensor& tensor,
                StepCounts* counts) {
  BITGRAD_DCHECK(tensor.signs.words == nullptr);
  const OverflowCells cells(context, "rounded_sgd", {tensor.round_step, tensor.round_weight});
  Launch(context, "rounded_sgd", RoundedSgdKernel, OverElements(tensor.count), tensor, numbers, scalars, cells.cell(0),
         cells.cell(1), reinterpret_cast<unsigned long long*>(counts));
  cells.Store(tensor.count);
}

void LimitRowNorms(ExecContext& context, float max_norm, const Rounding& round_weight, const StepScalars* scalars,
                   MatrixView<float> w) {
  if (w.rows == 0) return;
  const auto blocks = static_cast<unsigned>(std::min<int64_t>(w.rows, 132 * 16));
  Launch(context, "limit_row_norms", LimitRowNormsKernel, {dim3(blocks), dim3(kThreads)}, w, max_norm, round_weight,
         scalars);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
