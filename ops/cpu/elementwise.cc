#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/quantizers/power_of_two.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

void BinaryForward(Binary op, const float* a, const float* b, float* y, int64_t count) {
  switch (op) {
    case Binary::kAdd:
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
      return;
    case Binary::kSub:
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) y[i] = a[i] - b[i];
      return;
    case Binary::kMul:
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) y[i] = a[i] * b[i];
      return;
  }
}

void ScaleF32(float scale, const float* x, bool accumulate, float* y, int64_t count) {
  if (accumulate) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) y[i] = scale * x[i] + y[i];
  } else {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) y[i] = scale * x[i];
  }
}

void MultiplyByScales(const float* x, const ScaleView& scale, float* y, int64_t count) {
  const float* const values = scale.values;
  const float factor = scale.factor;
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) y[j] = x[j] * (factor * values[j]);
}

void RoundToPowers(const float* x, float* y, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = SignedNearestPower(x[i]);
}

void FillF32(float value, float* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = value;
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(BinaryForward);
HWY_EXPORT(ScaleF32);
HWY_EXPORT(MultiplyByScales);
HWY_EXPORT(RoundToPowers);
HWY_EXPORT(FillF32);

}  // namespace

void BinaryForward(ExecContext& context, Binary op, ConstMatrixView<float> a, ConstMatrixView<float> b,
                   MatrixView<float> y) {
  BITGRAD_DCHECK(a.rows == y.rows && a.cols == y.cols && b.rows == y.rows && b.cols == y.cols);
  const bool flat = a.contiguous() && b.contiguous() && y.contiguous();
  ForEachSegment(context.threads(), y.rows, y.cols, flat, [&](int64_t i, int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(BinaryForward)
    (op, a.row(i) + begin, b.row(i) + begin, y.row(i) + begin, end - begin);
  });
}

void ScaleF32(ExecContext& context, float scale, const float* x, bool accumulate, float* y, int64_t count) {
  ParallelFor(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ScaleF32)(scale, x + begin, accumulate, y + begin, end - begin);
  });
}

void ScaleRows(ExecContext& context, const ScaleView& scale, ConstMatrixView<float> x, MatrixView<float> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  ForEachSegment(context.threads(), x.rows, x.cols, /*flat=*/false, [&](int64_t i, int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(ScaleF32)(scale.at(i), x.row(i) + begin, /*accumulate=*/false, y.row(i) + begin, end - begin);
  });
}

void ScaleColumns(ExecContext& context, const ScaleView& scale, ConstMatrixView<float> x, MatrixView<float> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  const bool uniform = scale.is_uniform();
  const bool flat = uniform && x.contiguous() && y.contiguous();
  ForEachSegment(context.threads(), x.rows, x.cols, flat, [&](int64_t i, int64_t begin, int64_t end) {
    const float* const in = x.row(i) + begin;
    float* const out = y.row(i) + begin;
    if (uniform) {
      HWY_DYNAMIC_DISPATCH(ScaleF32)(scale.at(0), in, /*accumulate=*/false, out, end - begin);
    } else if (scale.stride == 1) {  // segments are whole rows
      HWY_DYNAMIC_DISPATCH(MultiplyByScales)(in, scale, out, end - begin);
    } else {
      for (int64_t j = begin; j < end; ++j) y.at(i, j) = x.at(i, j) * scale.at(j);
    }
  });
}

void RoundToPowers(ExecContext& context, const float* x, float* y, int64_t count) {
  ParallelFor(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(RoundToPowers)(x + begin, y + begin, end - begin);
  });
}

void FillF32(ExecContext& context, float value, float* y, int64_t count) {
  ParallelFor(context.threads(), count, kGrain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(FillF32)(value, y + begin, end - begin);
  });
}

void WriteBytes(ExecContext&, absl::Span<const uint8_t> values, uint8_t* y) {
  std::copy(values.begin(), values.end(), y);
}

void CopyMatrix(ExecContext& context, ConstMatrixView<float> x, MatrixView<float> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  ForEachSegment(context.threads(), x.rows, x.cols, x.contiguous() && y.contiguous(),
                 [&](int64_t i, int64_t begin, int64_t end) {
                   if (begin == end) return;
                   std::memcpy(y.row(i) + begin, x.row(i) + begin, (end - begin) * sizeof(float));
                 });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
