// Division by a number that the host knows, as a multiplication and a shift. The GPU's own division takes some twenty
// instructions, and kernels that compute their position in an image divide several times per element.

#ifndef BITGRAD_OPS_CUDA_DIVISOR_H_
#define BITGRAD_OPS_CUDA_DIVISOR_H_

#include <bit>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Let s be the least number with 2^s >= d, and m = floor(2^32 (2^s - d) / d) + 1. Then 2^32 + m exceeds 2^(32 + s) / d
// by at most 1, and floor(n / d) = (n + floor(n m / 2^32)) >> s for all n < 2^32 (Granlund & Montgomery, "Division by
// invariant integers using multiplication", PLDI 1994). For n < 2^31 the sum fits into 32 bits.
class Divisor {
 public:
  // REQUIRES: 0 < d < 2^31.
  explicit Divisor(int64_t d) : divisor_(static_cast<uint32_t>(d)) {
    BITGRAD_DCHECK(d > 0 && d < (int64_t{1} << 31));
    shift_ = std::bit_width(divisor_ - 1);
    multiplier_ = static_cast<uint32_t>(((((uint64_t{1} << shift_) - divisor_) << 32) / divisor_) + 1);
  }

  // REQUIRES: n < 2^31.
  __device__ uint32_t Quotient(uint32_t n) const {
    return (static_cast<uint32_t>(static_cast<uint64_t>(n) * multiplier_ >> 32) + n) >> shift_;
  }
  // Returns the quotient and sets n to the remainder.
  __device__ uint32_t Divide(uint32_t* n) const {
    const uint32_t quotient = Quotient(*n);
    *n -= quotient * divisor_;
    return quotient;
  }

  __device__ uint32_t divisor() const { return divisor_; }

 private:
  uint32_t divisor_;
  uint32_t multiplier_;
  int shift_;
};

// Kernels that divide this way can number at most this many elements.
inline constexpr int64_t kMostDividends = int64_t{1} << 31;

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_DIVISOR_H_
