// Losses work on a batch of logits, a small matrix, so plain loops do.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/segments.h"

namespace bitgrad::cpu {
namespace {

// The rows of a block in a sum over examples: fixed, whatever the number of threads.
constexpr int64_t kRowBlock = 256;

// The sum of row_loss(i) over the rows, in double.
template <typename RowLoss>
double SumOverRows(ExecContext& context, int64_t rows, const RowLoss& row_loss) {
  return SumOverBlocks(context.threads(), rows, kRowBlock, [&](int64_t begin, int64_t end) {
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
                                MatrixView<float> probabilities, float* loss) {
  const double sum = SumOverRows(context, logits.rows, [&](int64_t i) {
    const float* x = logits.row(i);
    float* p = probabilities.row(i);
    BITGRAD_DCHECK(labels[i] >= 0 && labels[i] < logits.cols);
    float max = x[0];
    for (int64_t j = 1; j < logits.cols; ++j) max = std::max(max, x[j]);
    // The loss is computed from the logit, not as -log p[label]: p[label] underflows where its logarithm does not.
    const double shifted = static_cast<double>(x[labels[i]]) - max;
    double total = 0;
    for (int64_t j = 0; j < logits.cols; ++j) {
      p[j] = std::exp(x[j] - max);
      total += p[j];
    }
    const float scale = static_cast<float>(1.0 / total);
    for (int64_t j = 0; j < logits.cols; ++j) p[j] *= scale;
    return std::log(total) - shifted;
  });
  *loss = logits.rows == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(logits.rows));
}

void SoftmaxCrossEntropyBackward(ExecContext& context, ConstMatrixView<float> probabilities, const int32_t* labels,
                                 const float* dloss, MatrixView<float> dlogits) {
  const float scale = *dloss / static_cast<float>(std::max<int64_t>(1, probabilities.rows));
  ForEachRow(context, probabilities, [&](int64_t i) {
    const float* p = probabilities.row(i);
    float* dx = dlogits.row(i);
    for (int64_t j = 0; j < probabilities.cols; ++j) {
      dx[j] = scale * (p[j] - (j == labels[i] ? 1.0f : 0.0f));
    }
  });
}

void SquaredHingeForward(ExecContext& context, ConstMatrixView<float> logits, const int32_t* labels, float scale,
                         float* loss) {
  const double sum = SumOverRows(context, logits.rows, [&](int64_t i) {
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
