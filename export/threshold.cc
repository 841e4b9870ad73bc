#include "bitgrad/export/threshold.h"

#include <limits>

#include "bitgrad/core/status_macros.h"

namespace bitgrad {

absl::StatusOr<Thresholds> FindThresholds(int64_t outputs, int32_t limit, BitsOfSums bits) {
  const size_t n = static_cast<size_t>(outputs);
  // Invariant: bits at low are first[j]; bits at high are last[j]. The change lies in (low, high].
  std::vector<int32_t> low(n, -limit), high(n, limit), middle(n);
  std::vector<uint8_t> first(n), last(n), seen(n);
  BITGRAD_RETURN_IF_ERROR(bits(low, absl::MakeSpan(first)));
  BITGRAD_RETURN_IF_ERROR(bits(high, absl::MakeSpan(last)));
  for (bool searching = true; searching;) {
    searching = false;
    for (size_t j = 0; j < n; ++j) {
      middle[j] = low[j] + (high[j] - low[j]) / 2;
      searching |= first[j] != last[j] && high[j] - low[j] > 1;
    }
    if (!searching) break;
    BITGRAD_RETURN_IF_ERROR(bits(middle, absl::MakeSpan(seen)));
    for (size_t j = 0; j < n; ++j) {
      (seen[j] == first[j] ? low[j] : high[j]) = middle[j];
    }
  }
  Thresholds result;
  for (size_t j = 0; j < n; ++j) {
    const bool constant = first[j] == last[j];
    // A constant 1 is "sum >= the least integer"; a constant 0 its negation.
    result.threshold.push_back(constant ? std::numeric_limits<int32_t>::min() : high[j]);
    result.flip.push_back(constant ? !first[j] : first[j]);
  }
  return result;
}

}  // namespace bitgrad
