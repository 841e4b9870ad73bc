// The built-in data set: handwritten-looking digits, drawn procedurally. For a first run without
// any files, and for tests: 28x28 8-bit images like MNIST's (white on black), 10 classes, 60,000 to
// train, 10,000 to test.
//
// Each image is a variant of its digit's strokes (digit_glyphs.h) with
//   - every control point moved a little,
//   - a random rotation, slant, size, width and position,
//   - a smooth random displacement field (elastic distortion: Simard, Steinkraus, Platt, "Best
//     practices for convolutional neural networks applied to visual document analysis", 2003),
//   - random pen thickness, edge softness and brightness, and pixel noise.
//
// It is no substitute for real handwriting: figures on it say that training works, not how good a
// method is.
//
// An image depends on (seed, split, index) alone, through the counter-based generator of
// core/rng.h: not on threads, order or how many are drawn. Only additions, multiplications,
// divisions and square roots are used, which IEEE 754 rounds the same everywhere, so the bytes are
// the same on every machine.

#ifndef BITGRAD_DATA_DIGITS_H_
#define BITGRAD_DATA_DIGITS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

inline constexpr int64_t kDigitSide = 28;
inline constexpr int64_t kDigitClasses = 10;
inline constexpr int64_t kDigitTrainExamples = 60000;
inline constexpr int64_t kDigitTestExamples = 10000;

// The classes take turns, so each has the same number of examples in any run of 10.
constexpr int32_t DigitLabel(int64_t index) { return static_cast<int32_t>(index % kDigitClasses); }

// Draws example `index` of a split, row-major. REQUIRES: pixels.size() == kDigitSide * kDigitSide
// and 0 <= index < 2^32.
void DrawDigit(uint64_t seed, Split split, int64_t index, absl::Span<uint8_t> pixels);

// Uses split, seed, threads and limit of `options`; about 12 microseconds per image and core.
absl::StatusOr<Dataset> LoadDigits(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_DIGITS_H_
