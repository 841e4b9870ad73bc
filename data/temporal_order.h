// The built-in task for recurrent nets: temporal order (Hochreiter, Schmidhuber, "Long short-term memory", Neural
// Computation 9(8), 1997, experiment 6a). For tests and first runs without any files.
//
// A sequence is 30 symbols of 8 kinds: a first one, a last one, and between them distractors, of four kinds at random,
// but for two places, one in steps 2..7 and one in steps 16..21. Each of these has X or Y, and which of them the first
// and the second place have is the class: XX, XY, YX, YY. So a net has to keep both of them, and apart, over many
// steps.
//
// A sequence is an image of 30 rows, the steps, with 8 pixels each: 255 for the symbol and 0 for the others.
//
// A sequence depends on (seed, split, index) alone, through the counter-based generator of core/rng.h.

#ifndef BITGRAD_DATA_TEMPORAL_ORDER_H_
#define BITGRAD_DATA_TEMPORAL_ORDER_H_

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

inline constexpr int64_t kTemporalOrderSteps = 30;
inline constexpr int64_t kTemporalOrderSymbols = 8;
inline constexpr int64_t kTemporalOrderClasses = 4;
inline constexpr int64_t kTemporalOrderTrainExamples = 20000;
inline constexpr int64_t kTemporalOrderTestExamples = 2000;

// 0 the first, 1 the last, 2..5 distractors.
inline constexpr uint8_t kSymbolX = 6, kSymbolY = 7;

// The classes take turns, so each has the same number of examples in any run of 4.
constexpr int32_t TemporalOrderLabel(int64_t index) { return static_cast<int32_t>(index % kTemporalOrderClasses); }

// The symbols of example `index` of a split. REQUIRES: 0 <= index < 2^32.
std::array<uint8_t, kTemporalOrderSteps> TemporalOrderSymbols(uint64_t seed, Split split, int64_t index);

// Uses split, seed and limit of `options`.
absl::StatusOr<Dataset> LoadTemporalOrder(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_TEMPORAL_ORDER_H_
