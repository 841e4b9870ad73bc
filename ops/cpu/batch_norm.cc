// Threads share the columns, so each column's sum is accumulated by one thread and nothing has to be combined. A thread
// works on strips of columns, from the first row to the last: a strip is as wide as a page, so that memory is read as a
// stream, but no wider, so that its sums stay in the first-level cache.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/batch_norm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kStrip = 1024;
constexpr int64_t kRows = 4;  // rows per visit of the sums, each of which is loaded and stored once a visit

// sum += d, square += d^2 with d = x - shift, over `rows` rows of a strip.
template <int64_t rows>
HWY_INLINE void AddMoments(const float* x, int64_t stride, const float* shift, int64_t size, double* sum,
                           double* square) {
  for (int64_t j = 0; j < size; ++j) {
    double s = sum[j];
    double q = square[j];
    for (int64_t r = 0; r < rows; ++r) {
      const double d = static_cast<double>(x[r * stride + j]) - shift[j];
      s += d;
      q += d * d;
    }
    sum[j] = s;
    square[j] = q;
  }
}

// square += c AP2(c) with c = x - mean, over `rows` rows of a strip.
template <int64_t rows>
HWY_INLINE void AddShiftedSquares(const float* x, int64_t stride, const float* mean, int64_t size, double* square) {
  for (int64_t j = 0; j < size; ++j) {
    double q = square[j];
    for (int64_t r = 0; r < rows; ++r) {
      const float c = x[r * stride + j] - mean[j];
      q += static_cast<double>(c) * SignedNearestPower(c);
    }
    square[j] = q;
  }
}

// sum += dy, product += dy xhat, over `rows` rows of a strip.
template <int64_t rows, BatchNormArithmetic arithmetic>
HWY_INLINE void AddGradients(const float* x, int64_t x_stride, const float* dy, int64_t dy_stride, const float* mean,
                             const float* inv_std, int64_t size, double* sum, double* product) {
  for (int64_t j = 0; j < size; ++j) {
    double s = sum[j];
    double p = product[j];
    for (int64_t r = 0; r < rows; ++r) {
      const float xhat = NormalizedForGradient(x[r * x_stride + j], mean[j], inv_std[j], arithmetic);
      const float g = dy[r * dy_stride + j];
      s += g;
      p += static_cast<double>(g) * xhat;
    }
    sum[j] = s;
    product[j] = p;
  }
}

// Mean and variance of columns [begin, end), in one pass over x. The sums are those of d = x - x[0] and of d^2. Sums of
// x and x^2 would cancel where the mean is large compared with the deviation; those of d do not:
//   mean = x[0] + mean(d),   variance = mean(d^2) - mean(d)^2
void Moments(ConstMatrixView<float> x, int64_t begin, int64_t end, float* mean, float* variance) {
  for (int64_t j0 = begin; j0 < end; j0 += kStrip) {
    const int64_t size = std::min(kStrip, end - j0);
    const float* shift = x.row(0) + j0;
    double sum[kStrip] = {};
    double square[kStrip] = {};
    int64_t i = 1;
    for (; i + kRows <= x.rows; i += kRows) {
      AddMoments<kRows>(x.row(i) + j0, x.stride, shift, size, sum, square);
    }
    for (; i < x.rows; ++i) AddMoments<1>(x.row(i) + j0, x.stride, shift, size, sum, square);
    const double m = static_cast<double>(x.rows);
    for (int64_t j = 0; j < size; ++j) {
      const double d = sum[j] / m;
      const double v = square[j] / m - d * d;
      mean[j0 + j] = static_cast<float>(shift[j] + d);
      variance[j0 + j] = static_cast<float>(v < 0.0 ? 0.0 : v);
    }
  }
}

// The variance of shifts, mean(c AP2(c)), of columns [begin, end).
void ShiftedVariance(ConstMatrixView<float> x, const float* mean, int64_t begin, int64_t end, float* variance) {
  for (int64_t j0 = begin; j0 < end; j0 += kStrip) {
    const int64_t size = std::min(kStrip, end - j0);
    double square[kStrip] = {};
    int64_t i = 0;
    for (; i + kRows <= x.rows; i += kRows) {
      AddShiftedSquares<kRows>(x.row(i) + j0, x.stride, mean + j0, size, square);
    }
    for (; i < x.rows; ++i) AddShiftedSquares<1>(x.row(i) + j0, x.stride, mean + j0, size, square);
    for (int64_t j = 0; j < size; ++j) {
      variance[j0 + j] = static_cast<float>(square[j] / static_cast<double>(x.rows));
    }
  }
}

void Normalize(const float* x, const float* mean, const float* inv_std, const float* gamma, const float* beta,
               int64_t count, float* y) {
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) {
    y[j] = NormalizedValue(x[j], mean[j], inv_std[j], gamma[j], beta[j]);
  }
}

// Works on pieces of kPiece values: y stays in the cache between the loop that writes it and the loops that read it.
void NormalizedSigns(const float* x, const float* mean, const float* inv_std, const float* gamma, const float* beta,
                     int64_t count, int64_t words, uint64_t* bits, uint64_t* window) {
  constexpr int64_t kPiece = 1024;
  float y[kPiece];
  int64_t j = 0;
  do {
    const int64_t size = std::min(kPiece, count - j);
    const int64_t piece_words = j + size == count ? words - j / 64 : size / 64;
    Normalize(x + j, mean + j, inv_std + j, gamma + j, beta + j, size, y);
    PackSignSegment(y, size, piece_words, bits + j / 64);
    if (window != nullptr) PackWindowSegment(y, size, piece_words, window + j / 64);
    j += size;
  } while (j < count);
}

template <BatchNormArithmetic arithmetic>
void BackwardOf(ConstMatrixView<float> x, ConstMatrixView<float> dy, const float* gamma, const float* mean,
                const float* variance, const float* inv_std, EpsilonPlacement placement, int64_t begin, int64_t end,
                MatrixView<float> dx, float* dgamma, float* dbeta) {
  for (int64_t j0 = begin; j0 < end; j0 += kStrip) {
    const int64_t size = std::min(kStrip, end - j0);
    double sum[kStrip] = {};
    double product[kStrip] = {};
    int64_t i = 0;
    for (; i + kRows <= x.rows; i += kRows) {
      AddGradients<kRows, arithmetic>(x.row(i) + j0, x.stride, dy.row(i) + j0, dy.stride, mean + j0, inv_std + j0, size,
                                      sum, product);
    }
    for (; i < x.rows; ++i) {
      AddGradients<1, arithmetic>(x.row(i) + j0, x.stride, dy.row(i) + j0, dy.stride, mean + j0, inv_std + j0, size,
                                  sum, product);
    }
    // dx = scale (dy - mean_dy - xhat slope)
    float scale[kStrip], mean_dy[kStrip], slope[kStrip];
    for (int64_t j = 0; j < size; ++j) {
      const int64_t c = j0 + j;
      double kappa = 1.0;
      if (placement == EpsilonPlacement::kOutsideRoot) {
        kappa = variance[c] == 0.0f ? 0.0 : 1.0 / (std::sqrt(static_cast<double>(variance[c])) * inv_std[c]);
      }
      dbeta[c] = static_cast<float>(sum[j]);
      dgamma[c] = static_cast<float>(product[j]);
      scale[j] = gamma[c] * inv_std[c];
      mean_dy[j] = static_cast<float>(sum[j] / static_cast<double>(x.rows));
      slope[j] = static_cast<float>(kappa * product[j] / static_cast<double>(x.rows));
    }
    for (i = 0; i < x.rows; ++i) {
      const float* x_row = x.row(i) + j0;
      const float* dy_row = dy.row(i) + j0;
      float* dx_row = dx.row(i) + j0;
#pragma omp simd
      for (int64_t j = 0; j < size; ++j) {
        const float xhat = NormalizedForGradient(x_row[j], mean[j0 + j], inv_std[j0 + j], arithmetic);
        dx_row[j] = scale[j] * (dy_row[j] - mean_dy[j] - xhat * slope[j]);
      }
    }
  }
}

void Backward(ConstMatrixView<float> x, ConstMatrixView<float> dy, const float* gamma, const float* mean,
              const float* variance, const float* inv_std, EpsilonPlacement placement, BatchNormArithmetic arithmetic,
              int64_t begin, int64_t end, MatrixView<float> dx, float* dgamma, float* dbeta) {
  const auto backward = arithmetic == BatchNormArithmetic::kShiftTorch ? BackwardOf<BatchNormArithmetic::kShiftTorch>
                                                                       : BackwardOf<BatchNormArithmetic::kExact>;
  backward(x, dy, gamma, mean, variance, inv_std, placement, begin, end, dx, dgamma, dbeta);
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(Moments);
HWY_EXPORT(ShiftedVariance);
HWY_EXPORT(Normalize);
HWY_EXPORT(NormalizedSigns);
HWY_EXPORT(Backward);

int64_t ColumnGrain(int64_t rows) { return std::max<int64_t>(16, RowGrain(rows)); }

}  // namespace

void BatchNormEval(ExecContext& context, ConstMatrixView<float> x, const float* mean, const float* inv_std,
                   const float* gamma, const float* beta, MatrixView<float> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  ForEachSegment(context.threads(), x.rows, x.cols, /*flat=*/false, [&](int64_t i, int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(Normalize)
    (x.row(i) + begin, mean, inv_std, gamma, beta, end - begin, y.row(i) + begin);
  });
}

void BatchNormSigns(ExecContext& context, ConstMatrixView<float> x, const float* mean, const float* inv_std,
                    const float* gamma, const float* beta, BitMatrixView bits, BitMatrixView window) {
  BITGRAD_DCHECK(x.rows == bits.rows && x.cols == bits.cols);
  ForEachBitSegment(context.threads(), x.rows, x.cols, [&](const BitSegment& s) {
    HWY_DYNAMIC_DISPATCH(NormalizedSigns)
    (x.row(s.row) + s.begin, mean + s.begin, inv_std + s.begin, gamma + s.begin, beta + s.begin, s.size(), s.words,
     bits.row(s.row) + s.word(), window.words == nullptr ? nullptr : window.row(s.row) + s.word());
  });
}

void BatchNormStatistics(ExecContext& context, ConstMatrixView<float> x, float epsilon, EpsilonPlacement placement,
                         BatchNormArithmetic arithmetic, float* mean, float* variance, float* inv_std) {
  BITGRAD_DCHECK(x.rows > 0);
  ParallelFor(context.threads(), x.cols, ColumnGrain(x.rows), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(Moments)(x, begin, end, mean, variance);
    if (arithmetic != BatchNormArithmetic::kExact) {
      HWY_DYNAMIC_DISPATCH(ShiftedVariance)(x, mean, begin, end, variance);
    }
    for (int64_t j = begin; j < end; ++j) inv_std[j] = InverseStd(variance[j], epsilon, placement);
  });
}

void BatchNormTrainBackward(ExecContext& context, ConstMatrixView<float> x, ConstMatrixView<float> dy,
                            const float* gamma, const float* mean, const float* variance, const float* inv_std,
                            EpsilonPlacement placement, BatchNormArithmetic arithmetic, MatrixView<float> dx,
                            float* dgamma, float* dbeta) {
  BITGRAD_DCHECK(x.rows > 0 && x.rows == dy.rows && x.cols == dy.cols);
  ParallelFor(context.threads(), x.cols, ColumnGrain(x.rows), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(Backward)
    (x, dy, gamma, mean, variance, inv_std, placement, arithmetic, begin, end, dx, dgamma, dbeta);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
