// Convolutions whose kernels have one tap each, or none, which an instruction of their own runs: those of attention
// over taps, and of shifts (ops/tap_attention.h).

#ifndef BITGRAD_EXPORT_ONE_TAP_KERNELS_H_
#define BITGRAD_EXPORT_ONE_TAP_KERNELS_H_

#include <cstdint>
#include <vector>

#include "absl/types/optional.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/export/program.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad {

// The weight and the tap of each kernel, [filters, channels].
struct OneTapKernels {
  Encoding encoding;           // of the weights; kFloat where they are floats
  std::vector<float> floats;   // where they are floats
  std::vector<uint8_t> codes;  // stored codes (core/encoding.h), where they are codes; any of a kernel that is zero
  std::vector<uint8_t> taps;   // kernel_height * kernel_width: the kernel is zero
};

// Those of conv2d `i`, whose weight is known. None where it is of another kind: a weight that no attention or shift has
// made, kernels of several taps, groups, dilation, a border of other values, or integer sums that floats do not hold.
// Codes are those of the fewest bits that have all weights of kernels that are not zero.
absl::optional<OneTapKernels> OneTapKernelsOf(const program::Program& program, int i, const ConvGeometry& geometry);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_ONE_TAP_KERNELS_H_
