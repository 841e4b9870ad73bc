#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/rounded_sgd.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/quantizers/power_of_two.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/optimizer_step.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// The part that all update rules share; new_weight(i, g', w) is the rule's own formula. Free of branches, so that it
// vectorizes.
template <typename NewWeight>
HWY_INLINE StepCounts Update(const StepTensor& tensor, float gradient_scale, int64_t begin, int64_t end,
                             const NewWeight& new_weight) {
  const float* const gradient = tensor.gradient;
  float* const weight = tensor.weight;
  const float weight_decay = tensor.weight_decay;
  // Comparisons with NaN are false, so that a bound that there is not is never reached.
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float least = tensor.least == -kInfinity ? kNan : tensor.least;
  const float most = tensor.most == kInfinity ? kNan : tensor.most;
  constexpr int64_t kBlock = 1 << 20;  // counts of a block fit an int32, which is as wide as the floats
  StepCounts counts = {0, 0};
  for (int64_t block = begin; block < end; block += kBlock) {
    const int64_t block_end = std::min(end, block + kBlock);
    int32_t flips = 0;
    int32_t at_clip = 0;
#pragma omp simd reduction(+ : flips, at_clip)
    for (int64_t i = block; i < block_end; ++i) {
      const float w = weight[i];
      const float g = gradient_scale * gradient[i] + weight_decay * w;
      const float updated = new_weight(i, g, w);
      weight[i] = updated;
      flips += (updated >= 0.0f ? 1 : 0) ^ (w >= 0.0f ? 1 : 0);
      at_clip += (updated <= least ? 1 : 0) | (updated >= most ? 1 : 0);
    }
    counts.sign_flips += flips;
    counts.at_clip += at_clip;
  }
  return counts;
}

// The rules that move weights: step_of(i, g') is the step.
template <typename StepOf>
HWY_INLINE StepCounts Step(const StepTensor& tensor, float gradient_scale, int64_t begin, int64_t end,
                           const StepOf& step_of) {
  const float weight_scale = tensor.weight_scale;
  const float least = tensor.least;
  const float most = tensor.most;
  return Update(tensor, gradient_scale, begin, end, [=](int64_t i, float g, float w) {
    const float moved = w + weight_scale * step_of(i, g);
    return moved < least ? least : moved > most ? most : moved;
  });
}

StepCounts Sgd(const StepTensor& tensor, const StepScalars& scalars, const RuleNumbers& numbers, bool nesterov,
               int64_t begin, int64_t end) {
  const float rate = numbers.rate;
  const float momentum = numbers.momentum;
  float* const velocity = tensor.slots[0];
  if (velocity == nullptr) {
    return Step(tensor, scalars.gradient_scale, begin, end, [=](int64_t, float g) { return -rate * g; });
  }
  if (nesterov) {
    return Step(tensor, scalars.gradient_scale, begin, end, [=](int64_t i, float g) {
      const float v = momentum * velocity[i] - rate * g;
      velocity[i] = v;
      return momentum * v - rate * g;
    });
  }
  return Step(tensor, scalars.gradient_scale, begin, end,
              [=](int64_t i, float g) { return velocity[i] = momentum * velocity[i] - rate * g; });
}

StepCounts Adam(const StepTensor& tensor, const StepScalars& scalars, float rate, const AdamArgs& adam, int64_t begin,
                int64_t end) {
  const float beta1 = adam.beta1;
  const float beta2 = adam.beta2;
  const float epsilon = adam.epsilon;
  float* const m = tensor.slots[0];
  float* const v = tensor.slots[1];
  return Step(tensor, scalars.gradient_scale, begin, end, [=](int64_t i, float g) {
    const float m_new = beta1 * m[i] + (1.0f - beta1) * g;
    const float v_new = beta2 * v[i] + (1.0f - beta2) * (g * g);
    m[i] = m_new;
    v[i] = v_new;
    return -rate * m_new / (std::sqrt(v_new) + epsilon);
  });
}

StepCounts AdaMax(const StepTensor& tensor, const StepScalars& scalars, float rate, const AdamArgs& adam, int64_t begin,
                  int64_t end) {
  const float beta1 = adam.beta1;
  const float beta2 = adam.beta2;
  const float epsilon = adam.epsilon;
  float* const m = tensor.slots[0];
  float* const v = tensor.slots[1];
  return Step(tensor, scalars.gradient_scale, begin, end, [=](int64_t i, float g) {
    const float m_new = beta1 * m[i] + (1.0f - beta1) * g;
    const float decayed = beta2 * v[i];
    const float size = std::fabs(g);
    const float v_new = size <= decayed ? decayed : size;  // NaN where g is NaN
    m[i] = m_new;
    v[i] = v_new;
    return -rate * m_new / (v_new + epsilon);
  });
}

template <bool keeps_divisor>
HWY_INLINE StepCounts ShiftAdaMaxOf(const StepTensor& tensor, const StepScalars& scalars, float rate,
                                    const AdamArgs& adam, int64_t begin, int64_t end) {
  const float beta1 = adam.beta1;
  const float beta2 = adam.beta2;
  const float epsilon = adam.epsilon;
  float* const m = tensor.slots[0];
  float* const v = tensor.slots[1];
  return Step(tensor, scalars.gradient_scale, begin, end, [=](int64_t i, float g) {
    const float m_new = beta1 * m[i] + (1.0f - beta1) * g;
    const float decayed = beta2 * v[i];
    const float size = std::fabs(g);
    const float u = size <= decayed ? decayed : size;  // NaN where g is NaN
    const float divisor = NearestPower(u) + epsilon;
    m[i] = m_new;
    v[i] = keeps_divisor ? divisor : u;
    return -rate * m_new / divisor;
  });
}

StepCounts ShiftAdaMax(const StepTensor& tensor, const StepScalars& scalars, float rate, const AdamArgs& adam,
                       bool keeps_divisor, int64_t begin, int64_t end) {
  return keeps_divisor ? ShiftAdaMaxOf<true>(tensor, scalars, rate, adam, begin, end)
                       : ShiftAdaMaxOf<false>(tensor, scalars, rate, adam, begin, end);
}

StepCounts Bop(const StepTensor& tensor, const StepScalars& scalars, float rate, float threshold, int64_t begin,
               int64_t end) {
  float* const m = tensor.slots[0];
  return Update(tensor, scalars.gradient_scale, begin, end, [=](int64_t i, float g, float w) {
    const float m_new = (1.0f - rate) * m[i] + rate * g;
    m[i] = m_new;
    // In integers, because gcc makes branches of a choice between the floats -1 and +1, which do not vectorize.
    const int32_t positive = w >= 0.0f ? 1 : 0;
    const int32_t flips = (w >= 0.0f ? m_new : -m_new) > threshold ? 1 : 0;
    return static_cast<float>(2 * (positive ^ flips) - 1);
  });
}

void Signs(const float* weight, int64_t count, int64_t words, uint64_t* bits) {
  PackSignSegment(weight, count, words, bits);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(Sgd);
HWY_EXPORT(Adam);
HWY_EXPORT(AdaMax);
HWY_EXPORT(ShiftAdaMax);
HWY_EXPORT(Bop);
HWY_EXPORT(Signs);

// Calls range(tensor, begin, end) on pieces of the weights. The signs of a piece are packed right after it, while it is
// in the cache. The counts are sums of integers, so they do not depend on the order.
template <typename Range>
void StepInParallel(ExecContext& context, const StepScalars& scalars, absl::Span<const StepTensor> tensors,
                    StepCounts* counts, const Range& range) {
  if (scalars.failed != 0) return;
  for (const StepTensor& tensor : tensors) {
    std::atomic<int64_t> sign_flips = 0;
    std::atomic<int64_t> at_clip = 0;
    const auto step = [&](int64_t begin, int64_t end) {
      const StepCounts part = range(tensor, begin, end);
      sign_flips += part.sign_flips;
      at_clip += part.at_clip;
    };
    const BitMatrixView& signs = tensor.signs;
    if (signs.words == nullptr) {
      ParallelFor(context.threads(), tensor.count, kGrain, step);
    } else {
      BITGRAD_DCHECK(signs.rows * signs.cols == tensor.count && signs.ones == nullptr);
      ForEachBitSegment(context.threads(), signs.rows, signs.cols, [&](const BitSegment& s) {
        const int64_t first = s.row * signs.cols;
        step(first + s.begin, first + s.end);
        HWY_DYNAMIC_DISPATCH(Signs)(tensor.weight + first + s.begin, s.size(), s.words, signs.row(s.row) + s.word());
      });
    }
    *counts++ = {sign_flips, at_clip};
  }
}

}  // namespace

void PrepareStep(ExecContext& /*context*/, const double* squares, const float* loss, double max_norm,
                 absl::Span<const StepTensor> tensors, StepScalars* scalars, StepCounts* counts) {
  double sum = 0;
  bool finite = loss == nullptr || std::isfinite(*loss);
  for (size_t i = 0; i < tensors.size(); ++i) {
    sum += squares[i];
    finite &= std::isfinite(squares[i]);
    counts[i] = {0, 0};
  }
  const double norm = std::sqrt(sum);
  scalars->gradient_scale = max_norm > 0 && norm > max_norm ? static_cast<float>(max_norm / norm) : 1.0f;
  if (!finite) scalars->failed = 1;
}

void SgdStep(ExecContext& context, bool nesterov, const RuleNumbers* numbers, const StepScalars* scalars,
             absl::Span<const StepTensor> tensors, StepCounts* counts) {
  if (scalars->failed != 0) return;
  for (const StepTensor& each : tensors) {
    if (each.rounds()) {
      *counts++ = RoundedSgd(context, *numbers, *scalars, each);
      continue;
    }
    StepInParallel(context, *scalars, {&each, 1}, counts++, [&](const StepTensor& tensor, int64_t begin, int64_t end) {
      return HWY_DYNAMIC_DISPATCH(Sgd)(tensor, *scalars, *numbers, nesterov, begin, end);
    });
  }
}

void SgdRowsStep(ExecContext& context, const RuleNumbers* numbers, const StepScalars* scalars, const int32_t* rows,
                 ConstMatrixView<float> gradient, float weight_scale, MatrixView<float> w, StepCounts* counts) {
  if (scalars->failed != 0) return;
  BITGRAD_DCHECK(gradient.cols == w.cols);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::atomic<int64_t> sign_flips = 0;
  ParallelFor(context.threads(), gradient.rows, RowGrain(w.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (rows[i] < 0) continue;
      const StepTensor row = {.gradient = gradient.row(i),
                              .weight = w.row(rows[i]),
                              .slots = {nullptr, nullptr},
                              .count = w.cols,
                              .weight_decay = 0,
                              .weight_scale = weight_scale,
                              .least = -kInfinity,
                              .most = kInfinity};
      sign_flips += HWY_DYNAMIC_DISPATCH(Sgd)(row, *scalars, *numbers, /*nesterov=*/false, 0, w.cols).sign_flips;
    }
  });
  *counts = {sign_flips, 0};
}

void AdamStep(ExecContext& context, const AdamArgs& adam, const RuleNumbers* numbers, const StepScalars* scalars,
              absl::Span<const StepTensor> tensors, StepCounts* counts) {
  StepInParallel(context, *scalars, tensors, counts, [&](const StepTensor& tensor, int64_t begin, int64_t end) {
    return HWY_DYNAMIC_DISPATCH(Adam)(tensor, *scalars, numbers->rate, adam, begin, end);
  });
}

void AdaMaxStep(ExecContext& context, const AdamArgs& adam, const RuleNumbers* numbers, const StepScalars* scalars,
                absl::Span<const StepTensor> tensors, StepCounts* counts) {
  StepInParallel(context, *scalars, tensors, counts, [&](const StepTensor& tensor, int64_t begin, int64_t end) {
    return HWY_DYNAMIC_DISPATCH(AdaMax)(tensor, *scalars, numbers->rate, adam, begin, end);
  });
}

void ShiftAdaMaxStep(ExecContext& context, const AdamArgs& adam, bool keeps_divisor, const RuleNumbers* numbers,
                     const StepScalars* scalars, absl::Span<const StepTensor> tensors, StepCounts* counts) {
  StepInParallel(context, *scalars, tensors, counts, [&](const StepTensor& tensor, int64_t begin, int64_t end) {
    return HWY_DYNAMIC_DISPATCH(ShiftAdaMax)(tensor, *scalars, numbers->rate, adam, keeps_divisor, begin, end);
  });
}

void BopStep(ExecContext& context, float threshold, const RuleNumbers* numbers, const StepScalars* scalars,
             absl::Span<const StepTensor> tensors, StepCounts* counts) {
  StepInParallel(context, *scalars, tensors, counts, [&](const StepTensor& tensor, int64_t begin, int64_t end) {
    return HWY_DYNAMIC_DISPATCH(Bop)(tensor, *scalars, numbers->rate, threshold, begin, end);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
