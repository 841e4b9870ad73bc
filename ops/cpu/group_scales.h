// The scales of a group of columns of an output (DotOutput), which kernels multiply the group's sums with.

#ifndef BITGRAD_OPS_CPU_GROUP_SCALES_H_
#define BITGRAD_OPS_CPU_GROUP_SCALES_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/scale_view.h"

namespace bitgrad::cpu {

// scales[j] = scale.at(first + j), j < cols. Filled once for all rows of a group, so that the loop over sums is the
// same for every kind of scale.
template <int64_t kCols>
inline void FillGroupScales(const ScaleView& scale, int64_t first, int64_t cols, float (&scales)[kCols]) {
  if (scale.is_uniform()) {
    std::fill_n(scales, kCols, scale.at(0));
  } else {
    for (int64_t j = 0; j < cols; ++j) scales[j] = scale.at(first + j);
  }
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_GROUP_SCALES_H_
