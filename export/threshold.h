// Folding what stands between an integer sum and a sign into one integer comparison per output.

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

// bits(sums, out): for each output j, out[j] = the bit that the graph computes for the integer sum sums[j]. It has to
// be monotone in each sum (rising or falling), as roundings, batch norm and the usual activations are.
using BitsOfSums = absl::FunctionRef<absl::Status(absl::Span<const int32_t> sums, absl::Span<uint8_t> bits)>;

// Finds, for all `outputs` at once, by bisection over sums in [-limit, limit], where the bit changes. Outputs whose bit
// never changes (gamma = 0) get a threshold that says so.
absl::StatusOr<Thresholds> FindThresholds(int64_t outputs, int32_t limit, BitsOfSums bits);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_THRESHOLD_H_
