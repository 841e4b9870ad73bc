// The largest |x| of a row.

#ifndef BITGRAD_OPS_CPU_LARGEST_MAGNITUDE_H_
#define BITGRAD_OPS_CPU_LARGEST_MAGNITUDE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "hwy/base.h"

namespace bitgrad::cpu {

// 0 for an empty row. NaNs are ignored. It works on 16 lanes, so that the compiler can vectorize it.
HWY_INLINE float LargestMagnitude(const float* x, int64_t count) {
  constexpr int64_t kLanes = 16;
  float lanes[kLanes] = {};
  int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) {
      const float size = std::fabs(x[j + l]);
      lanes[l] = size > lanes[l] ? size : lanes[l];
    }
  }
  for (; j < count; ++j) {
    const float size = std::fabs(x[j]);
    lanes[0] = size > lanes[0] ? size : lanes[0];
  }
  return *std::max_element(lanes, lanes + kLanes);
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_LARGEST_MAGNITUDE_H_
