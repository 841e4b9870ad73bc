// Sums in double that have the same bits on every instruction set and at any number of threads: there are always 16
// interleaved partial sums, which are combined in a fixed order. The compiler vectorizes the inner loop at whatever
// width the machine has.

#ifndef BITGRAD_OPS_CPU_LANE_SUM_H_
#define BITGRAD_OPS_CPU_LANE_SUM_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/parallel_for.h"
#include "hwy/base.h"

namespace bitgrad::cpu {

// The sum of f(i) over i < count; f returns a double. It is inlined, so that it is compiled for the caller's
// instruction set.
template <typename F>
HWY_INLINE double LaneSum(int64_t count, const F& f) {
  constexpr int64_t kLanes = 16;
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += f(i + l);
  }
  for (int64_t l = 0; i < count; ++i, ++l) lanes[l] += f(i);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// The sum of block_sum(begin, end), a double or several of them with a +=, over the fixed blocks of [0, count), added
// in the order of the blocks.
template <typename BlockSum>
auto SumOverBlocks(int threads, int64_t count, int64_t block_size, const BlockSum& block_sum) {
  using Sum = decltype(block_sum(int64_t{}, int64_t{}));
  std::vector<Sum> sums((count + block_size - 1) / block_size);
  ParallelForBlocks(threads, count, block_size,
                    [&](int64_t block, int64_t begin, int64_t end) { sums[block] = block_sum(begin, end); });
  Sum total{};
  for (const Sum& sum : sums) total += sum;
  return total;
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_LANE_SUM_H_
