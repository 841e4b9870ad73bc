// Rounding to the number formats of core/number_format.h, and the control of dynamic ranges.
//
// The functions of one number are constexpr and free of branches, so that all devices give the same bits and loops over
// them vectorize.

#ifndef BITGRAD_OPS_KERNELS_ROUND_NUMBERS_H_
#define BITGRAD_OPS_KERNELS_ROUND_NUMBERS_H_

#include <bit>
#include <cmath>
#include <cstdint>

#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/number_format.h"

namespace bitgrad {

// IEEE binary16, to nearest, ties to even, exactly as the conversion of the hardware and back: numbers from 65520 on
// become infinite, those below 2^-14 are multiples of 2^-24. NaN stays NaN.
constexpr float RoundToHalf(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x), size = bits & 0x7fffffffu, sign = bits & 0x80000000u;
  const uint32_t normal = (size + 0xfffu + ((size >> 13) & 1u)) & ~0x1fffu;
  // The floats from 0.5 on are multiples of 2^-24 here, so that the sum rounds as subnormal halves do.
  const float subnormal = (std::bit_cast<float>(size) + 0.5f) - 0.5f;
  const uint32_t finite = size < 0x38800000u ? std::bit_cast<uint32_t>(subnormal) : normal;
  const uint32_t result = size < 0x477ff000u ? finite : 0x7f800000u;
  return std::bit_cast<float>((size > 0x7f800000u ? size : result) | sign);
}

// bfloat16, to nearest, ties to even. NaN stays NaN.
constexpr float RoundToBfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x), size = bits & 0x7fffffffu;
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & ~0xffffu;
  return std::bit_cast<float>(size > 0x7f800000u ? bits : rounded);
}

// A fixed-point format with numbers at hand: with n bits beside the sign, steps = 2^(n - range), step = 1 / steps and
// most = 2^n - 1 (as a float; 2^n from 25 bits on).
struct FixedPoint {
  float steps, step, most;

  // 2^e as a float; the exponents that occur here are those of normal floats.
  static constexpr float PowerOfTwo(int e) { return std::bit_cast<float>(static_cast<uint32_t>(e + 127) << 23); }
  static constexpr FixedPoint Of(int bits, int range) {
    const int n = bits - 1;
    return {PowerOfTwo(n - range), PowerOfTwo(range - n), PowerOfTwo(n) - 1.0f};
  }

  // The whole number k of the value k step that x is rounded to. NaN stays NaN.
  constexpr float Code(float x) const {
    const float scaled = x * steps;
    const float clipped = scaled < -most ? -most : scaled > most ? most : scaled;
    return std::rint(clipped);
  }
};

// y[i] = x[i] in the format.   x, y [count]; y may be x.
using RoundNumbers = void(ExecContext& context, const Rounding& rounding, const float* x, float* y, int64_t count);

// A range that is controlled, and what was counted for it, in the memory of the device.
struct ControlledRange {
  float* range;
  float* overflows;
};

// For each range whose overflows count `batches` calls or more: RangeControl's rule, within [kLeastRange, kMostRange];
// then its overflows are 0 again.
using ControlRanges = void(ExecContext& context, float most_overflow, float batches,
                           absl::Span<const ControlledRange> ranges);

// The rule for one range.
constexpr float ControlledTo(float range, float over, float over_below, float batches, float most_overflow) {
  const float r = over / batches, below = over_below / batches;
  const float next = r > most_overflow ? range + 1.0f : below <= most_overflow ? range - 1.0f : range;
  constexpr float kLeast = NumberFormat::kLeastRange, kMost = NumberFormat::kMostRange;
  return next < kLeast ? kLeast : next > kMost ? kMost : next;
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_ROUND_NUMBERS_H_
