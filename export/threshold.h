// Folds the ops between an integer sum and a quantizer of few bits into integer comparisons.

#ifndef BITGRAD_EXPORT_THRESHOLD_H_
#define BITGRAD_EXPORT_THRESHOLD_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace bitgrad {

// The stored code (core/encoding.h) of output j is reached(j) = #{l < levels : sum >= threshold[l * n + j]} or, where
// flip[j], levels - reached(j). The thresholds of an output ascend.
struct Thresholds {
  int levels = 1;                  // the largest stored code
  std::vector<int32_t> threshold;  // [levels, n]
  std::vector<uint8_t> flip;       // [n]
};

// A function codes(sums, c) that sets c[l, j], for each level l and output j, to the stored code that the graph
// computes for the integer sum sums[l, j] of that output; both are [levels, n]. Each output's code has to be a monotone
// function of its sum, increasing or decreasing, as the composition of roundings, batch norm, the usual activations and
// a quantizer is.
using CodesOfSums = absl::FunctionRef<absl::Status(absl::Span<const int32_t> sums, absl::Span<uint8_t> c)>;

// Finds where the code of each output reaches each level, by bisection over the sums in [-limit, limit], for all levels
// and outputs at once. A level that every sum reaches gets the least integer as threshold, one that none reaches the
// largest. An output whose code is always 0 (gamma = 0) is flipped, with the thresholds of one that reaches every
// level.
absl::StatusOr<Thresholds> FindThresholds(int64_t outputs, int levels, int32_t limit, CodesOfSums codes);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_THRESHOLD_H_
