// Fixed-point codes from others, by shifts, and from floats (arXiv 1901.02064; message Requantize in
// proto/packed_model.proto). Codes are stored (core/encoding.h): a value is a power of two times (least + c).
//
//   ShiftRight(v, s) = (v + 2^(s - 1)) >> s, which rounds halves up, for s > 0; v for s = 0; v << -s for s < 0
//   ShiftLeft(v, s) = ShiftRight(v, -s)

#ifndef BITGRAD_OPS_KERNELS_SHIFT_CODES_H_
#define BITGRAD_OPS_KERNELS_SHIFT_CODES_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/pool.h"

namespace bitgrad {

// No shift is longer. What a rounding adds is then at most 2^27.
inline constexpr int kMaxShift = 28;
// Shifts to the left of what becomes codes: larger ones would leave nothing but the ends of the range.
inline constexpr int kMaxOutputLeftShift = 15;
// REQUIRES: |s| <= kMaxShift, and the result is an int32.
constexpr int32_t ShiftRight(int32_t v, int s) {
  if (s > 0) return (v + (int32_t{1} << (s - 1))) >> s;
  return static_cast<int32_t>(static_cast<int64_t>(v) * (int64_t{1} << -s));
}
constexpr int32_t ShiftLeft(int32_t v, int s) { return ShiftRight(v, -s); }

// The codes that a result can have.
struct ShiftRange {
  int32_t least = 0, most = 0;

  // The stored code of clamp(ShiftRight(v, shift), least, most). REQUIRES: -kMaxOutputLeftShift <= shift.
  constexpr uint8_t Stored(int32_t v, int shift) const {
    // What is shifted to the left may overflow; a number of this size is beyond every range.
    constexpr int32_t kBeyond = 256;
    if (shift < 0) v = v < -kBeyond ? -kBeyond : v > kBeyond ? kBeyond : v;
    const int32_t code = ShiftRight(v, shift);
    return static_cast<uint8_t>((code < least ? least : code > most ? most : code) - least);
  }
  // The stored code next to a whole number. A NaN becomes the least code.
  constexpr uint8_t StoredOf(float code) const {
    // The comparisons come first: a huge number or a NaN cannot be converted.
    if (code >= static_cast<float>(most)) return static_cast<uint8_t>(most - least);
    return code > static_cast<float>(least) ? static_cast<uint8_t>(static_cast<int32_t>(code) - least) : uint8_t{0};
  }
};

// REQUIRES of the kernels: |shift| <= kMaxShift, of results -kMaxOutputLeftShift <= shift; sums and what they are
// shifted to the left by are an int32.

// y[i] = range.Stored(a[i] + b[i], shift), with a[i] = ShiftLeft(least + codes[i], left_shift).   codes, y [count]
struct ShiftAddend {
  const uint8_t* codes = nullptr;
  int32_t least = 0;
  int left_shift = 0;
};
using ShiftAdd = void(ExecContext& context, const ShiftAddend& a, const ShiftAddend& b, int shift,
                      const ShiftRange& range, uint8_t* y, int64_t count);

// y[i, j] = range.Stored(least + x[i, j], shift).   x, y [m, n], of any strides
using ShiftCodes = void(ExecContext& context, ConstMatrixView<uint8_t> x, int32_t least, int shift,
                        const ShiftRange& range, MatrixView<uint8_t> y);

// y = range.Stored(the sum of least + x over each window, shift).   x, y as of AveragePoolForward (pool.h).
// REQUIRES: all windows lie in the image.
using ShiftAverage = void(ExecContext& context, const PoolGeometry& geometry, const uint8_t* x, int32_t least,
                          int shift, const ShiftRange& range, uint8_t* y);

// y[i] = range.StoredOf(x' factor, rounded to the nearest whole number, of two the even one), with x' = x[i] or, where
// `mean` is not null, (x[i] - mean[c]) inv_std[c], c = i % channels.   mean, inv_std [channels]; x, y [count]
struct FixedPointScale {
  float factor = 1;
  int64_t channels = 1;
  const float* mean = nullptr;
  const float* inv_std = nullptr;
};
using FixedPointCodes = void(ExecContext& context, const FixedPointScale& scale, const ShiftRange& range,
                             const float* x, uint8_t* y, int64_t count);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SHIFT_CODES_H_
