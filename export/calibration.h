// What a search on calibration images computes of one module: in floats, and of one sum. Internal to joint_search.cc.

#ifndef BITGRAD_EXPORT_CALIBRATION_H_
#define BITGRAD_EXPORT_CALIBRATION_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/unify_modules.h"
#include "bitgrad/ops/kernels/shift_product.h"

namespace bitgrad {

// The float net's values of a product of all images: sums with bias, shortcut (null: none) and ReLU.
std::vector<float> FloatProduct(ExecContext& context, const UnifiedModule& module, int64_t images,
                                const std::vector<float>& x, const float* shortcut);

inline int32_t LeastCode(const Encoding& encoding) { return static_cast<int32_t>(encoding.least_code()); }
inline int32_t MostCode(const Encoding& encoding) {
  return static_cast<int32_t>(encoding.code(encoding.largest_stored()));
}

// The code that a sum becomes. A sum that is shifted to the left is beyond every range from 256 on.
inline int32_t CodeOf(int32_t sum, int shift, int32_t least, int32_t most) {
  if (shift < 0) sum = std::clamp(sum, -256, 256);
  return std::clamp(ShiftRight(sum, shift), least, most);
}

inline bool IsOutputShift(int shift) { return shift >= -kMaxOutputLeftShift && shift <= kMaxShift; }

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_CALIBRATION_H_
