// Which quantizer of ours a function of single floats is, whatever formula it was written with: two functions that
// never fall are the same where they agree at both sides of every limit.

#ifndef BITGRAD_EXPORT_QUANTIZER_LIKE_H_
#define BITGRAD_EXPORT_QUANTIZER_LIKE_H_

#include <optional>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/step_function.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {

// The first of ops/quantizers/list.h whose kernel makes codes.codes of every finite float, with the number of its own
// (a step, a clip, a threshold) that does it. Its value_scale() is codes.scale where its form takes a scale, or has
// that one; else its values are those of f but for a factor. None where there is none. REQUIRES: f is Reduced(), of one
// column; `codes` are CodesOfSteps(f).
std::optional<PackedQuantizer> QuantizerLike(ExecContext& context, const StepFunction& f, const StepCodes& codes);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_QUANTIZER_LIKE_H_
