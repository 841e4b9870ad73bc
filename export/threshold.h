// Folds the ops between an integer sum and a sign into one integer comparison per output.

#ifndef BITGRAD_EXPORT_THRESHOLD_H_
#define BITGRAD_EXPORT_THRESHOLD_H_

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace bitgrad {

// The bit of output j is (sum >= threshold[j]) != flip[j].
struct Thresholds {
  std::vector<int32_t> threshold;
  std::vector<uint8_t> flip;
};

// A function bits(sums, out) that sets out[j], for each output j, to the bit that the graph computes for the integer
// sum sums[j]. Each bit has to be a monotone function of its sum, increasing or decreasing, as the composition of
// roundings, batch norm and the usual activations is.
using BitsOfSums = absl::FunctionRef<absl::Status(absl::Span<const int32_t> sums, absl::Span<uint8_t> bits)>;

// Finds where the bit of each output changes, by bisection over the sums in [-limit, limit] for all outputs at once. An
// output whose bit never changes (gamma = 0) gets the least integer as threshold, and its bit in `flip`.
absl::StatusOr<Thresholds> FindThresholds(int64_t outputs, int32_t limit, BitsOfSums bits);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_THRESHOLD_H_
