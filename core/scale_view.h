// ScaleView: the scale that a kernel multiplies sums or codes with: a number, numbers in the device's memory, or both.
//
//   at(j) = factor * values[j * stride]        without values: factor
//
// j is the output (a column of a product, a row of a weight). A stride of 0 is one number for the whole tensor. The
// product of factor and value is rounded once, before it is applied to anything, so every kernel that is given the same
// view multiplies with the same float.

#ifndef BITGRAD_CORE_SCALE_VIEW_H_
#define BITGRAD_CORE_SCALE_VIEW_H_

#include <cstdint>

namespace bitgrad {

struct ScaleView {
  float factor = 1.0f;
  const float* values = nullptr;
  int64_t stride = 0;

  constexpr ScaleView() = default;
  constexpr ScaleView(float factor) : factor(factor) {}  // NOLINT: a number is a scale
  constexpr ScaleView(float factor, const float* values, int64_t stride)
      : factor(factor), values(values), stride(stride) {}

  // Whether it is one number that the host knows.
  constexpr bool is_constant() const { return values == nullptr; }
  // Whether it is one number for all outputs.
  constexpr bool is_uniform() const { return values == nullptr || stride == 0; }
  // REQUIRES: `values` is in memory that the caller can read.
  constexpr float at(int64_t j) const { return values == nullptr ? factor : factor * values[j * stride]; }
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_SCALE_VIEW_H_
