// Sums in double that are the same bits on every instruction set and thread count: always 16 interleaved partial
// sums, combined in one order. The compiler turns the inner loop into vectors of whatever width there is.

#ifndef BITGRAD_OPS_CPU_LANE_SUM_H_
#define BITGRAD_OPS_CPU_LANE_SUM_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/parallel_for.h"
#include "hwy/base.h"

namespace bitgrad::cpu {

// sum_i f(i), i < count; f returns a double. Inlined into the caller's instruction set.
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

// The sum of block_sum(begin, end) over fixed blocks of [0, count), added in block order.
template <typename BlockSum>
double SumOverBlocks(int threads, int64_t count, int64_t block_size, const BlockSum& block_sum) {
  std::vector<double> sums((count + block_size - 1) / block_size);
  ParallelForBlocks(threads, count, block_size,
                    [&](int64_t block, int64_t begin, int64_t end) { sums[block] = block_sum(begin, end); });
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_LANE_SUM_H_
