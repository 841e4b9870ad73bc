// Fixed-point codes by shifts. Limited by memory: a byte or two are read for each that is written, of averages the
// window's.

#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/divisor.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

void ShiftAdd(ExecContext& context, const ShiftAddend& a, const ShiftAddend& b, int shift, const ShiftRange& range,
              uint8_t* y, int64_t count) {
  ForElements(context, "shift_add", count, [=] __device__(int64_t i) {
    const int32_t sum = ShiftLeft(a.least + a.codes[i], a.left_shift) + ShiftLeft(b.least + b.codes[i], b.left_shift);
    y[i] = range.Stored(sum, shift);
  });
}

void ShiftCodes(ExecContext& context, ConstMatrixView<uint8_t> x, int32_t least, int shift, const ShiftRange& range,
                MatrixView<uint8_t> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  ForCells(context, "shift_codes", x.rows, x.cols,
           [=] __device__(int64_t i, int64_t j) { y.at(i, j) = range.Stored(least + x.at(i, j), shift); });
}

void ShiftAverage(ExecContext& context, const PoolGeometry& geometry, const uint8_t* x, int32_t least, int shift,
                  const ShiftRange& range, uint8_t* y) {
  const PoolGeometry g = geometry;
  const int64_t windows = g.pixels();
  BITGRAD_CHECK(windows < kMostDividends);
  if (windows * g.channels == 0) return;
  const Divisor by_height(g.out_height()), by_width(g.out_width());
  const auto least_sum = static_cast<int32_t>(least * g.kernel_height * g.kernel_width);
  ForCells(context, "shift_average", windows, g.channels, [=] __device__(int64_t window, int64_t c) {
    uint32_t q = static_cast<uint32_t>(window);
    uint32_t p = by_width.Divide(&q);
    const int64_t n = by_height.Divide(&p);
    int32_t sum = least_sum;
    for (int64_t r = 0; r < g.kernel_height; ++r) {
      const int64_t first = (n * g.height + p * g.stride_height + r) * g.width + q * g.stride_width;
      for (int64_t s = 0; s < g.kernel_width; ++s) sum += x[(first + s) * g.channels + c];
    }
    y[window * g.channels + c] = range.Stored(sum, shift);
  });
}

void FixedPointCodes(ExecContext& context, const FixedPointScale& scale, const ShiftRange& range, const float* x,
                     uint8_t* y, int64_t count) {
  ForCells(context, "fixed_point_codes", count / scale.channels, scale.channels, [=] __device__(int64_t i, int64_t c) {
    const int64_t at = i * scale.channels + c;
    const float v = scale.mean == nullptr ? x[at] : (x[at] - scale.mean[c]) * scale.inv_std[c];
    y[at] = range.StoredOf(nearbyintf(v * scale.factor));
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
