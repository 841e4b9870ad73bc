// SGD in arithmetic of low precision, and the max-norm constraint (ops/kernels/optimizer_step.h).

#include "bitgrad/ops/cpu/rounded_sgd.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/overflow_counts.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/rounded_sgd.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/round_numbers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// Piece by piece, so that what lies between the two roundings stays in the nearest cache.
void RoundedSgdPiece(const StepTensor& tensor, const StepScalars& scalars, const RuleNumbers& numbers,
                     const FixedPoint& fixed_step, const FixedPoint& fixed_weight, int64_t begin, int64_t end,
                     OverflowCounts* step_overflows, OverflowCounts* weight_overflows, StepCounts& counts) {
  constexpr int64_t kPiece = 1024;
  float step[kPiece];
  float moved[kPiece];
  const float rate = numbers.rate, momentum = numbers.momentum;
  const float gradient_scale = scalars.gradient_scale, weight_decay = tensor.weight_decay;
  const float weight_scale = tensor.weight_scale, least = tensor.least, most = tensor.most;
  for (int64_t first = begin; first < end; first += kPiece) {
    const int64_t count = std::min(kPiece, end - first);
    const float* const gradient = tensor.gradient + first;
    float* const weight = tensor.weight + first;
    float* const velocity = tensor.slots[0] == nullptr ? nullptr : tensor.slots[0] + first;
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) step[i] = -rate * (gradient_scale * gradient[i] + weight_decay * weight[i]);
    if (velocity != nullptr) {
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) step[i] = momentum * velocity[i] + step[i];
    }
    RoundBlock(tensor.round_step.kind, fixed_step, step, step, count, step_overflows);
    if (velocity != nullptr) std::memcpy(velocity, step, count * sizeof(float));
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      const float w = weight[i] + weight_scale * step[i];
      moved[i] = w < least ? least : w > most ? most : w;
    }
    RoundBlock(tensor.round_weight.kind, fixed_weight, moved, moved, count, weight_overflows);
    int32_t flips = 0;
    int32_t at_clip = 0;
#pragma omp simd reduction(+ : flips, at_clip)
    for (int64_t i = 0; i < count; ++i) {
      flips += (moved[i] >= 0.0f ? 1 : 0) ^ (weight[i] >= 0.0f ? 1 : 0);
      at_clip += (moved[i] <= least ? 1 : 0) | (moved[i] >= most ? 1 : 0);
      weight[i] = moved[i];
    }
    counts.sign_flips += flips;
    counts.at_clip += at_clip;
  }
}

void RoundRow(NumberFormatKind kind, const FixedPoint& fixed, float factor, float* row, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) row[i] *= factor;
  RoundBlock(kind, fixed, row, row, count, nullptr);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(RoundedSgdPiece);
HWY_EXPORT(RoundRow);

}  // namespace

StepCounts RoundedSgd(ExecContext& context, const RuleNumbers& numbers, const StepScalars& scalars,
                      const StepTensor& tensor) {
  BITGRAD_DCHECK(tensor.signs.words == nullptr);
  const FixedPoint fixed_step = FixedPointOf(tensor.round_step), fixed_weight = FixedPointOf(tensor.round_weight);
  OverflowSum step_sum(tensor.round_step), weight_sum(tensor.round_weight);
  std::atomic<int64_t> sign_flips = 0, at_clip = 0;
  ParallelFor(context.threads(), tensor.count, kGrain, [&](int64_t begin, int64_t end) {
    OverflowCounts step, weight;
    StepCounts counts = {0, 0};
    HWY_DYNAMIC_DISPATCH(RoundedSgdPiece)
    (tensor, scalars, numbers, fixed_step, fixed_weight, begin, end, step_sum.counts() ? &step : nullptr,
     weight_sum.counts() ? &weight : nullptr, counts);
    step_sum.Add(step);
    weight_sum.Add(weight);
    sign_flips += counts.sign_flips;
    at_clip += counts.at_clip;
  });
  step_sum.Store(tensor.count);
  weight_sum.Store(tensor.count);
  return {sign_flips, at_clip};
}

void LimitRowNorms(ExecContext& context, float max_norm, const Rounding& round_weight, const StepScalars* scalars,
                   MatrixView<float> w) {
  if (scalars->failed != 0) return;
  const FixedPoint fixed = FixedPointOf(round_weight);
  ParallelFor(context.threads(), w.rows, RowGrain(w.cols), [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      // Sixteen sums, whose order no thread and no instruction set changes, so that the loop vectorizes.
      constexpr int64_t kLanes = 16;
      double lanes[kLanes] = {};
      const float* const row = w.row(i);
      const int64_t whole = w.cols - w.cols % kLanes;
      for (int64_t j = 0; j < whole; j += kLanes) {
        for (int64_t k = 0; k < kLanes; ++k) lanes[k] += double{row[j + k]} * double{row[j + k]};
      }
      for (int64_t j = whole; j < w.cols; ++j) lanes[j - whole] += double{row[j]} * double{row[j]};
      double sum = 0;
      for (const double lane : lanes) sum += lane;
      const double norm = std::sqrt(sum);
      if (norm <= max_norm) continue;
      HWY_DYNAMIC_DISPATCH(RoundRow)
      (round_weight.kind, fixed, static_cast<float>(max_norm / norm), w.row(i), w.cols);
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
