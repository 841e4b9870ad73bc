// How a unified module is quantized: the fractional bits of its numbers, and what they cost. export/joint_search.h
// states the number format.

#ifndef BITGRAD_EXPORT_MODULE_FORMAT_H_
#define BITGRAD_EXPORT_MODULE_FORMAT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/export/unify_modules.h"

namespace bitgrad {

inline constexpr int kLeastQuantizedBits = 4, kMostQuantizedBits = 8;
inline constexpr int kBiasBits = 8, kInputBits = 8;

// The most fractional bits of a value, and the fewest, as runtime/requantize.h has them.
inline constexpr int kMostFractionBits = 60;

// N of weights, bias and output.
struct FractionBits {
  int weight = 0, bias = 0, output = 0;
  friend bool operator==(const FractionBits&, const FractionBits&) = default;
};

// How a module is quantized.
struct ModuleFormat {
  FractionBits bits;
  // Of the output's codes; kFloat where the module keeps its sums.
  Encoding encoding;
  // Of modules that are searched: ||O - O_hat||_2 over the calibration images, that of the heuristic (infinite where
  // its shifts are too long), and ||O||_2.
  FractionBits heuristic;
  double error = 0, heuristic_error = 0, norm = 0;

  // Integers that stand for a weight and a bias.
  int32_t WeightCode(float w, int width) const;
  int32_t BiasCode(float b) const;
};

// clamp(round(r 2^n)), rounding half to even. A NaN becomes `least`.
int32_t FixedPointCode(float r, int fraction_bits, int32_t least, int32_t most);

// N_max of numbers up to `most` in size, in codes of these bits without their sign.
int HeuristicFractionBits(double most, int magnitude_bits);

// The table of what was found, a line for each module.
std::string SearchReport(const std::vector<UnifiedModule>& modules, absl::Span<const ModuleFormat> formats);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_MODULE_FORMAT_H_
