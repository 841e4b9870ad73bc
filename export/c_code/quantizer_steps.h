// A quantizer of single values as the steps that it is: its codes ascend with x, so that a code is a number of limits
// that x reaches. The limits are found by bisection over all floats with the quantizer's own kernel, hence comparing
// with them gives what the kernel gives, in every bit, whatever formula it computes.

#ifndef BITGRAD_EXPORT_C_CODE_QUANTIZER_STEPS_H_
#define BITGRAD_EXPORT_C_CODE_QUANTIZER_STEPS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {

struct QuantizerSteps {
  std::vector<float> limits;  // ascending
  std::vector<float> values;  // one more: before, between and behind the limits
  float of_nan = 0;
};

// Of a function of single floats that is applied to an array. Unimplemented where it does not ascend, where it has more
// than 255 steps, or where it is not the same for 0 and -0.
absl::StatusOr<QuantizerSteps> StepsOf(const std::function<std::vector<float>(absl::Span<const float>)>& function);

// Of the stored codes (core/encoding.h) of a quantizer or, where these are no integers, of its float values.
absl::StatusOr<QuantizerSteps> StepsOf(const PackedQuantizer& quantizer, ExecContext& context);

// What the quantizer makes of these floats: stored codes, or values.
std::vector<float> Quantized(const PackedQuantizer& quantizer, ExecContext& context, absl::Span<const float> x);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_QUANTIZER_STEPS_H_
