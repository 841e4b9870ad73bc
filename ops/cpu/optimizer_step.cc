#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/check.h"
#include "ops/cpu/functions.h"
#include "ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/optimizer_step.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "ops/cpu/bits-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// What all optimizers share: step_of(i, g') is the optimizer's own part. Branch-free, so that it vectorizes.
template <typename StepOf>
HWY_INLINE StepCounts Step(const StepArgs& args, const float* gradient, float* weight, int64_t begin,
                           int64_t end, const StepOf& step_of) {
  const float gradient_scale = args.gradient_scale;
  const float weight_decay = args.weight_decay;
  const float weight_scale = args.weight_scale;
  const float clip = args.clip;
  constexpr int64_t kBlock = 1 << 20;  // Counts of a block fit an int32: as wide as the floats beside them.
  StepCounts counts = {0, 0};
  for (int64_t block = begin; block < end; block += kBlock) {
    const int64_t block_end = std::min(end, block + kBlock);
    int32_t flips = 0;
    int32_t at_clip = 0;
#pragma omp simd reduction(+ : flips, at_clip)
    for (int64_t i = block; i < block_end; ++i) {
      const float w = weight[i];
      const float g = gradient_scale * gradient[i] + weight_decay * w;
      const float moved = w + weight_scale * step_of(i, g);
      const float clipped = moved < -clip ? -clip : moved > clip ? clip : moved;
      weight[i] = clipped;
      flips += (clipped >= 0.0f ? 1 : 0) ^ (w >= 0.0f ? 1 : 0);
      at_clip += std::fabs(clipped) >= clip ? 1 : 0;
    }
    counts.sign_flips += flips;
    counts.at_clip += at_clip;
  }
  if (clip == std::numeric_limits<float>::infinity()) counts.at_clip = 0;
  return counts;
}

StepCounts Sgd(const StepArgs& args, float momentum, bool nesterov, const float* gradient,
               float* velocity, float* weight, int64_t begin, int64_t end) {
  const float lr = args.learning_rate;
  if (velocity == nullptr) {
    return Step(args, gradient, weight, begin, end, [=](int64_t, float g) { return -lr * g; });
  }
  if (nesterov) {
    return Step(args, gradient, weight, begin, end, [=](int64_t i, float g) {
      const float v = momentum * velocity[i] - lr * g;
      velocity[i] = v;
      return momentum * v - lr * g;
    });
  }
  return Step(args, gradient, weight, begin, end, [=](int64_t i, float g) {
    return velocity[i] = momentum * velocity[i] - lr * g;
  });
}

StepCounts Adam(const StepArgs& args, const AdamArgs& adam, float rate, const float* gradient, float* m, float* v,
                float* weight, int64_t begin, int64_t end) {
  const float beta1 = adam.beta1;
  const float beta2 = adam.beta2;
  const float epsilon = adam.epsilon;
  return Step(args, gradient, weight, begin, end, [=](int64_t i, float g) {
    const float m_new = beta1 * m[i] + (1.0f - beta1) * g;
    const float v_new = beta2 * v[i] + (1.0f - beta2) * (g * g);
    m[i] = m_new;
    v[i] = v_new;
    return -rate * m_new / (std::sqrt(v_new) + epsilon);
  });
}

StepCounts AdaMax(const StepArgs& args, const AdamArgs& adam, float rate, const float* gradient, float* m,
                  float* v, float* weight, int64_t begin, int64_t end) {
  const float beta1 = adam.beta1;
  const float beta2 = adam.beta2;
  const float epsilon = adam.epsilon;
  return Step(args, gradient, weight, begin, end, [=](int64_t i, float g) {
    const float m_new = beta1 * m[i] + (1.0f - beta1) * g;
    const float decayed = beta2 * v[i];
    const float size = std::fabs(g);
    const float v_new = size <= decayed ? decayed : size;  // NaN in g stays visible.
    m[i] = m_new;
    v[i] = v_new;
    return -rate * m_new / (v_new + epsilon);
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
HWY_EXPORT(Signs);

// Calls range(begin, end) on pieces of the weight, each followed by its signs while it is in the cache. The counts are
// sums of integers: in any order.
template <typename Range>
void StepInParallel(ExecContext& context, const StepArgs& args, const float* weight, int64_t count, StepCounts* counts,
                    const Range& range) {
  std::atomic<int64_t> sign_flips = 0;
  std::atomic<int64_t> at_clip = 0;
  const auto step = [&](int64_t begin, int64_t end) {
    const StepCounts part = range(begin, end);
    sign_flips += part.sign_flips;
    at_clip += part.at_clip;
  };
  const BitMatrixView& signs = args.signs;
  if (signs.words == nullptr) {
    ParallelFor(context.threads(), count, kGrain, step);
  } else {
    BITGRAD_DCHECK(signs.rows * signs.cols == count);
    ForEachBitSegment(context.threads(), signs.rows, signs.cols, [&](const BitSegment& s) {
      const int64_t first = s.row * signs.cols;
      step(first + s.begin, first + s.end);
      HWY_DYNAMIC_DISPATCH(Signs)(weight + first + s.begin, s.size(), s.words, signs.row(s.row) + s.word());
    });
  }
  *counts = {sign_flips, at_clip};
}

}  // namespace

void SgdStep(ExecContext& context, const StepArgs& args, float momentum, bool nesterov,
             const float* gradient, float* velocity, float* weight, int64_t count,
             StepCounts* counts) {
  BITGRAD_DCHECK(velocity != nullptr || momentum == 0.0f || count == 0);
  StepInParallel(context, args, weight, count, counts, [&](int64_t begin, int64_t end) {
    return HWY_DYNAMIC_DISPATCH(Sgd)(args, momentum, nesterov, gradient, velocity, weight, begin, end);
  });
}

void AdamStep(ExecContext& context, const StepArgs& args, const AdamArgs& adam,
              const float* gradient, float* m, float* v, float* weight, int64_t count,
              StepCounts* counts) {
  BITGRAD_DCHECK(adam.t >= 1);
  const double correction1 = 1.0 - std::pow(static_cast<double>(adam.beta1), adam.t);
  const double correction2 = 1.0 - std::pow(static_cast<double>(adam.beta2), adam.t);
  const float rate = static_cast<float>(args.learning_rate * std::sqrt(correction2) / correction1);
  StepInParallel(context, args, weight, count, counts, [&](int64_t begin, int64_t end) {
    return HWY_DYNAMIC_DISPATCH(Adam)(args, adam, rate, gradient, m, v, weight, begin, end);
  });
}

void AdaMaxStep(ExecContext& context, const StepArgs& args, const AdamArgs& adam,
                const float* gradient, float* m, float* v, float* weight, int64_t count,
                StepCounts* counts) {
  BITGRAD_DCHECK(adam.t >= 1);
  const double correction1 = 1.0 - std::pow(static_cast<double>(adam.beta1), adam.t);
  const float rate = static_cast<float>(args.learning_rate / correction1);
  StepInParallel(context, args, weight, count, counts, [&](int64_t begin, int64_t end) {
    return HWY_DYNAMIC_DISPATCH(AdaMax)(args, adam, rate, gradient, m, v, weight, begin, end);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
