#include "bitgrad/export/threshold.h"

#include <limits>

#include "bitgrad/core/status_macros.h"

namespace bitgrad {

absl::StatusOr<Thresholds> FindThresholds(int64_t outputs, int levels, int32_t limit, CodesOfSums codes) {
  const size_t n = static_cast<size_t>(outputs), count = n * static_cast<size_t>(levels);
  std::vector<int32_t> low(count, -limit), high(count, limit), middle(count);
  std::vector<uint8_t> first(count), last(count), seen(count);
  BITGRAD_RETURN_IF_ERROR(codes(low, absl::MakeSpan(first)));
  BITGRAD_RETURN_IF_ERROR(codes(high, absl::MakeSpan(last)));

  Thresholds result = {.levels = levels, .threshold = std::vector<int32_t>(count), .flip = std::vector<uint8_t>(n)};
  for (size_t j = 0; j < n; ++j) result.flip[j] = last[j] == 0 || last[j] < first[j];
  // Whether output j has reached level l (of which there are 1 .. levels) with code c.
  const auto reaches = [&](size_t i, uint8_t c) {
    const int reached = result.flip[i % n] ? levels - c : c;
    return reached > static_cast<int>(i / n);
  };
  // Invariant: level i is not reached at low[i], and is at high[i]. The threshold lies in (low, high].
  for (bool searching = true; searching;) {
    searching = false;
    for (size_t i = 0; i < count; ++i) {
      middle[i] = low[i] + (high[i] - low[i]) / 2;
      searching |= high[i] - low[i] > 1 && !reaches(i, first[i]) && reaches(i, last[i]);
    }
    if (!searching) break;
    BITGRAD_RETURN_IF_ERROR(codes(middle, absl::MakeSpan(seen)));
    for (size_t i = 0; i < count; ++i) (reaches(i, seen[i]) ? high[i] : low[i]) = middle[i];
  }
  for (size_t i = 0; i < count; ++i) {
    result.threshold[i] = reaches(i, first[i])  ? std::numeric_limits<int32_t>::min()
                          : reaches(i, last[i]) ? high[i]
                                                : std::numeric_limits<int32_t>::max();
  }
  return result;
}

}  // namespace bitgrad
