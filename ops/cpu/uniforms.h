// Uniform(rng, i) of core/rng.h for ranges of elements.

#ifndef BITGRAD_OPS_CPU_UNIFORMS_H_
#define BITGRAD_OPS_CPU_UNIFORMS_H_

#include <cstdint>

#include "core/rng.h"
#include "hwy/base.h"

namespace bitgrad::cpu {

// Room for the uniforms of up to kCount consecutive elements.
class Uniforms {
 public:
  static constexpr int64_t kCount = 1024;

  // Returns u with u[i] = Uniform(rng, first + i) for i < count. REQUIRES: count <= kCount. A block of four
  // elements is computed once; it may begin before `first` and end behind.
  HWY_INLINE const float* Fill(const RngStream& rng, uint64_t first, int64_t count) {
    const uint64_t first_block = first / 4;
    const int64_t blocks = static_cast<int64_t>((first + count + 3) / 4 - first_block);
    for (int64_t b = 0; b < blocks; ++b) {
      const RngBlock block = RandomBlock(rng, first_block + b);
      for (int k = 0; k < 4; ++k) values_[4 * b + k] = ToUniform(block.word[k]);
    }
    return values_ + first % 4;
  }

 private:
  alignas(64) float values_[kCount + 8];
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_UNIFORMS_H_
