// Losses work on a batch of logits, a small matrix unless the classes are the words of a language. So the softmax, with
// its exponentials, is compiled for each instruction set; for the others plain loops do.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/exponential.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/losses.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// The largest element; NaN may be passed over, and shows in the sum. As in LaneSum, there are always 16 partial
// results.
float Largest(const float* x, int64_t count) {
  constexpr int64_t kLanes = 16;
  float lanes[kLanes];
  for (float& lane : lanes) lane = x[0];
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] = lanes[l] < x[j + l] ? x[j + l] : lanes[l];
  }
  for (int64_t l = 0; j < count; ++j, ++l) lanes[l] = lanes[l] < x[j] ? x[j] : lanes[l];
  float largest = lanes[0];
  for (const float lane : lanes) largest = largest < lane ? lane : largest;
  return largest;
}

double SumOfExponentials(const float* x, float max, int64_t count) {
  return LaneSum(count, [=](int64_t j) { return static_cast<double>(Exponential(x[j] - max)); });
}

// dx[j] = factor * p[j] for the probabilities p of a row.
void ScaledSoftmax(const float* x, const SoftmaxRow& row, float factor, float* dx, int64_t count) {
  const float max = row.max, scale = row.scale;
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) dx[j] = factor * (Exponential(x[j] - max) * scale);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(Largest);
HWY_EXPORT(SumOfExponentials);
HWY_EXPORT(ScaledSoftmax);

// The rows of a block in a sum over examples: fixed, whatever the number of threads.
constexpr int64_t kRowBlock = 256;

// The sum of row_loss(i) over the rows, in double.
template <typename RowLoss>
double SumOverRows(ExecContext& context, int64_t rows, int64_t block, const RowLoss& row_loss) {
  return SumOverBlocks(context.threads(), rows, block, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += row_loss(i);
    return sum;
  });
}

template <typename RowBody>
void ForEachRow(ExecContext& context, ConstMatrixView<float> x, const RowBody& body) {
  ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

float Target(int64_t j, int32_t label) { return j == label ? 1.0f : -1.0f; }

// max(0, 1 - t y); NaN where y is NaN.
float Hinge(float target, float y) {
  const float slack = 1.0f - target * y;
  return slack <= 0.0f ? 0.0f : slack;
}

}  // namespace

void SoftmaxCrossEntropyForward(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels,
                                SoftmaxRow* rows, float* loss) {
  // A block is small enough that rows of thousands of classes are work for all threads.
  const int64_t block = std::clamp<int64_t>(kGrain / std::max<int64_t>(1, logits.cols), 1, kRowBlock);
  const double sum = SumOverRows(context, logits.rows, block, [&](int64_t i) {
    const float* x = logits.row(i);
    BITGRAD_DCHECK(labels[i] >= 0 && labels[i] < logits.cols);
    const float max = HWY_DYNAMIC_DISPATCH(Largest)(x, logits.cols);
    const double total = HWY_DYNAMIC_DISPATCH(SumOfExponentials)(x, max, logits.cols);
    rows[i] = {max, static_cast<float>(1.0 / total)};
    // The loss is computed from the logit, not as -log p[label]: p[label] underflows where its logarithm does not.
    return std::log(total) - (static_cast<double>(x[labels[i]]) - max);
  });
  *loss = logits.rows == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(logits.rows));
}

void SoftmaxCrossEntropyBackward(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels,
                                 const SoftmaxRow* rows, const float* dloss, MatrixView<float> dlogits) {
  const float factor = *dloss / static_cast<float>(std::max<int64_t>(1, logits.rows));
  ForEachRow(context, logits, [&](int64_t i) {
    const float* x = logits.row(i);
    float* dx = dlogits.row(i);
    HWY_DYNAMIC_DISPATCH(ScaledSoftmax)(x, rows[i], factor, dx, logits.cols);
    const int32_t label = labels[i];
    dx[label] = factor * (Exponential(x[label] - rows[i].max) * rows[i].scale - 1.0f);
  });
}

void SquaredHingeForward(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels, float scale,
                         float* loss) {
  const double sum = SumOverRows(context, logits.rows, kRowBlock, [&](int64_t i) {
    double row = 0;
    for (int64_t j = 0; j < logits.cols; ++j) {
      const double hinge = Hinge(Target(j, labels[i]), logits.at(i, j));
      row += hinge * hinge;
    }
    return row;
  });
  *loss = static_cast<float>(scale * sum);
}

void SquaredHingeBackward(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels, float scale,
                          const float* dloss, MatrixView<float> dlogits) {
  const float factor = *dloss * scale * -2.0f;
  ForEachRow(context, logits, [&](int64_t i) {
    for (int64_t j = 0; j < logits.cols; ++j) {
      const float target = Target(j, labels[i]);
      dlogits.at(i, j) = factor * target * Hinge(target, logits.at(i, j));
    }
  });
}

void SquaredErrorForward(ExecContext& context, const float* y, const float* target, int64_t count, float scale,
                         float* loss) {
  *loss = static_cast<float>(scale * SumOverBlocks(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
                               return LaneSum(end - begin, [&](int64_t i) {
                                 const double d = static_cast<double>(y[begin + i]) - target[begin + i];
                                 return d * d;
                               });
                             }));
}

void SquaredErrorBackward(ExecContext& context, const float* y, const float* target, int64_t count, float scale,
                          const float* dloss, float* dy) {
  const float factor = *dloss * scale * 2.0f;
  ParallelFor(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dy[i] = factor * (y[i] - target[i]);
  });
}

void CountErrors(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels, int64_t* errors) {
  std::atomic<int64_t> total = 0;
  ParallelFor(context.threads(), logits.rows, RowGrain(logits.cols), [&](int64_t begin, int64_t end) {
    int64_t wrong = 0;
    for (int64_t i = begin; i < end; ++i) {
      const float* x = logits.row(i);
      int64_t best = 0;
      bool has_nan = false;
      for (int64_t j = 0; j < logits.cols; ++j) {
        has_nan |= std::isnan(x[j]);
        if (x[j] > x[best]) best = j;
      }
      wrong += has_nan || best != labels[i];
    }
    total += wrong;
  });
  *errors = total;
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
