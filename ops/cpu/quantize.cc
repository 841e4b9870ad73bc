// Quantizers over matrices. Every kernel is a template over the structs of ops/quantizers/list.h and dispatches once
// per piece of a row. The scalar functions are inlined into the loops, which vectorize where the function allows it.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/largest_magnitude.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/quantizers/list.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/quantize.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"
#include "bitgrad/ops/cpu/uniforms-inl.h"

#ifndef BITGRAD_OPS_CPU_QUANTIZE_SHARED_
#define BITGRAD_OPS_CPU_QUANTIZE_SHARED_
namespace bitgrad::cpu {

// A piece of a row, with everything that its quantization depends on.
struct QuantizePiece {
  const Quantizer* quantizer;
  const float* x;
  int64_t count;
  float statistic;
  const RngStream* rng;
  int64_t first_element;  // the element number of x[0] in the random stream
};

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_QUANTIZE_SHARED_

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// y[j] = Code(x[offset + j]) * scale, j < count. y may be x + offset. REQUIRES: count <= Uniforms::kCount.
template <typename Q>
HWY_INLINE void Codes(const QuantizePiece& piece, int64_t offset, int64_t count, float scale, float* y) {
  const QuantizerArgs args = piece.quantizer->args();
  const float statistic = piece.statistic;
  const float* x = piece.x + offset;
  if constexpr (Q::kStochastic) {
    Uniforms uniforms;
    const float* u = uniforms.Fill(*piece.rng, piece.first_element + offset, count);
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) y[j] = Q::Code(x[j], args, statistic, u[j]) * scale;
  } else {
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) y[j] = Q::Code(x[j], args, statistic, 0.0f) * scale;
  }
}

void QuantizeScaled(const QuantizePiece& piece, float scale, float* y) {
  DispatchQuantizer(piece.quantizer->info(), [&]<typename Q>() {
    for (int64_t j = 0; j < piece.count; j += Uniforms::kCount) {
      Codes<Q>(piece, j, std::min(Uniforms::kCount, piece.count - j), scale, y + j);
    }
  });
}

void QuantizeBits(const QuantizePiece& piece, int64_t words, uint64_t* bits, uint64_t* window) {
  DispatchQuantizer(piece.quantizer->info(), [&]<typename Q>() {
    if constexpr (std::is_same_v<Q, SignQuantizer>) {
      PackSignSegment(piece.x, piece.count, words, bits);
    } else {
      // Binary codes are -1 and +1, so the bits are their signs.
      static_assert(Uniforms::kCount % 64 == 0);
      float codes[Uniforms::kCount];
      int64_t j = 0;
      do {
        const int64_t count = std::min(Uniforms::kCount, piece.count - j);
        const bool last = j + count == piece.count;
        Codes<Q>(piece, j, count, 1.0f, codes);
        PackSignSegment(codes, count, last ? words - j / 64 : count / 64, bits + j / 64);
        j += count;
      } while (j < piece.count);
    }
    // All quantizers for which a window may be requested have the window 1{|x| <= 1}.
    if (window != nullptr) PackWindowSegment(piece.x, piece.count, words, window);
  });
}

void QuantizeBackward(const Quantizer& quantizer, const float* x, float statistic, const float* dq, int64_t count,
                      float* dx) {
  DispatchQuantizer(quantizer.info(), [&]<typename Q>() {
    const QuantizerArgs args = quantizer.args();
#pragma omp simd
    for (int64_t j = 0; j < count; ++j) dx[j] = dq[j] * Q::Surrogate(x[j], args, statistic);
  });
}

double SumAbs(const float* x, int64_t count) {
  return LaneSum(count, [x](int64_t j) { return static_cast<double>(std::fabs(x[j])); });
}

float MaxAbs(const float* x, int64_t count) { return LargestMagnitude(x, count); }

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(QuantizeScaled);
HWY_EXPORT(QuantizeBits);
HWY_EXPORT(QuantizeBackward);
HWY_EXPORT(SumAbs);
HWY_EXPORT(MaxAbs);

// The statistic of row i, or 0 where the quantizer has none.
float StatisticOfRow(Statistic kind, const float* statistic, int64_t i) {
  switch (kind) {
    case Statistic::kNone: return 0.0f;
    case Statistic::kMeanAbs:
    case Statistic::kMaxAbsTanh: return statistic[0];
    case Statistic::kRowMaxAbs: return statistic[i];
  }
  return 0.0f;
}

// How many rows form one block of a sum over the matrix. It depends on the shape only.
int64_t RowsPerBlock(ConstMatrixView<float> x) { return RowGrain(x.cols); }

double SumAbsOfMatrix(ExecContext& context, ConstMatrixView<float> x) {
  return SumOverBlocks(context.threads(), x.rows, RowsPerBlock(x), [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t i = begin; i < end; ++i) sum += HWY_DYNAMIC_DISPATCH(SumAbs)(x.row(i), x.cols);
    return sum;
  });
}

void RowMaxAbs(ExecContext& context, ConstMatrixView<float> x, float* max) {
  ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) max[i] = HWY_DYNAMIC_DISPATCH(MaxAbs)(x.row(i), x.cols);
  });
}

float MaxAbsOfMatrix(ExecContext& context, ConstMatrixView<float> x) {
  std::vector<float> rows(x.rows);
  RowMaxAbs(context, x, rows.data());
  return rows.empty() ? 0.0f : *std::max_element(rows.begin(), rows.end());
}

void Quantize(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x, const float* statistic,
              const RngStream& rng, bool scaled, MatrixView<float> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  const Statistic kind = quantizer.statistic();
  const bool flat = x.contiguous() && y.contiguous() && kind != Statistic::kRowMaxAbs;
  ForEachSegment(context.threads(), x.rows, x.cols, flat, [&](int64_t i, int64_t begin, int64_t end) {
    const float row_statistic = StatisticOfRow(kind, statistic, i);
    const QuantizePiece piece = {&quantizer, x.row(i) + begin, end - begin, row_statistic, &rng, i * x.cols + begin};
    const float scale = scaled ? quantizer.scale(row_statistic) : 1.0f;
    HWY_DYNAMIC_DISPATCH(QuantizeScaled)(piece, scale, y.row(i) + begin);
  });
}

}  // namespace

void QuantizeStatistic(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x, float* statistic) {
  switch (quantizer.statistic()) {
    case Statistic::kNone: return;
    case Statistic::kMeanAbs:
      *statistic =
          x.size() == 0 ? 0.0f : static_cast<float>(SumAbsOfMatrix(context, x) / static_cast<double>(x.size()));
      return;
    case Statistic::kMaxAbsTanh:
      // tanh is monotone and odd, so the largest |tanh x| is the tanh of the largest |x|.
      *statistic = std::tanh(MaxAbsOfMatrix(context, x));
      return;
    case Statistic::kRowMaxAbs: return RowMaxAbs(context, x, statistic);
  }
}

void QuantizeCodes(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x, const float* statistic,
                   const RngStream& rng, MatrixView<float> codes) {
  Quantize(context, quantizer, x, statistic, rng, /*scaled=*/false, codes);
}

void QuantizeValues(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x, const float* statistic,
                    const RngStream& rng, MatrixView<float> values) {
  Quantize(context, quantizer, x, statistic, rng, /*scaled=*/true, values);
}

void QuantizeBits(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x, const float* statistic,
                  const RngStream& rng, BitMatrixView bits, BitMatrixView window) {
  BITGRAD_DCHECK(quantizer.encoding().kind == EncodingKind::kBinary);
  BITGRAD_DCHECK(window.words == nullptr || quantizer.info().surrogate_is_window);
  BITGRAD_DCHECK(bits.rows == x.rows && bits.cols == x.cols);
  const Statistic kind = quantizer.statistic();
  ForEachBitSegment(context.threads(), x.rows, x.cols, [&](const BitSegment& s) {
    const QuantizePiece piece = {&quantizer, x.row(s.row) + s.begin,  s.size(), StatisticOfRow(kind, statistic, s.row),
                                 &rng,       s.row * x.cols + s.begin};
    HWY_DYNAMIC_DISPATCH(QuantizeBits)
    (piece, s.words, bits.row(s.row) + s.word(), window.words == nullptr ? nullptr : window.row(s.row) + s.word());
  });
}

void QuantizeBackward(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                      const float* statistic, ConstMatrixView<float> dq, MatrixView<float> dx) {
  BITGRAD_DCHECK(x.rows == dq.rows && x.cols == dq.cols);
  const Statistic kind = quantizer.statistic();
  const bool flat = x.contiguous() && dq.contiguous() && dx.contiguous() && kind != Statistic::kRowMaxAbs;
  ForEachSegment(context.threads(), x.rows, x.cols, flat, [&](int64_t i, int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(QuantizeBackward)
    (quantizer, x.row(i) + begin, StatisticOfRow(kind, statistic, i), dq.row(i) + begin, end - begin,
     dx.row(i) + begin);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
