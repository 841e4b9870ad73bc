// OverflowCounts: how many of the numbers that a kernel rounded reached the largest of their format, and half of it.

#ifndef BITGRAD_OPS_CPU_OVERFLOW_COUNTS_H_
#define BITGRAD_OPS_CPU_OVERFLOW_COUNTS_H_

#include <atomic>
#include <cstdint>

#include "bitgrad/ops/kernels/round_numbers.h"

namespace bitgrad::cpu {

struct OverflowCounts {
  int64_t at_most = 0;
  int64_t at_half = 0;
};

// The fixed-point format of a Rounding, for the CPU, whose kernels can read the range.
inline FixedPoint FixedPointOf(const Rounding& rounding) {
  return FixedPoint::Of(rounding.bits,
                        rounding.range == nullptr ? rounding.fixed_range : static_cast<int>(*rounding.range));
}

// Adds the counts of pieces, from any thread, and at last their shares of `count` numbers to Rounding::overflows.
class OverflowSum {
 public:
  explicit OverflowSum(const Rounding& rounding) : overflows_(rounding.overflows) {}
  bool counts() const { return overflows_ != nullptr; }
  void Add(const OverflowCounts& piece) {
    at_most_ += piece.at_most;
    at_half_ += piece.at_half;
  }
  void Store(int64_t count) const {
    if (overflows_ == nullptr || count == 0) return;
    overflows_[0] += static_cast<float>(static_cast<double>(at_most_) / static_cast<double>(count));
    overflows_[1] += static_cast<float>(static_cast<double>(at_half_) / static_cast<double>(count));
    overflows_[2] += 1.0f;
  }

 private:
  float* const overflows_;
  std::atomic<int64_t> at_most_ = 0, at_half_ = 0;
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_OVERFLOW_COUNTS_H_
