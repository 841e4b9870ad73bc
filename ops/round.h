// Arithmetic of low precision (Courbariaux et al., arXiv 1412.7024): values and gradients that are rounded to a number
// format (core/number_format.h) between operations, which themselves compute in float32.
//
//   y = x rounded to the format of `value`            dx = dy rounded to the format of `gradient`
//
// The gradient passes straight through the rounding of the value, saturated or not, as in the authors' code. In
// training the overflows of dynamic formats are counted; AdjustRanges() adjusts the ranges by them.

#ifndef BITGRAD_OPS_ROUND_H_
#define BITGRAD_OPS_ROUND_H_

#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/number_group.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/var.h"

namespace bitgrad {

// x itself where neither format rounds. The parameters of the groups outlive the tape.
Var Round(const Var& x, const NumberGroup& value, const NumberGroup& gradient = {});

// Adjusts the values of those parameters that are ranges (Parameter::overflows): once after each step, in which the
// work is enqueued on the context's device.
void AdjustRanges(ExecContext& context, absl::Span<Parameter* const> parameters);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_ROUND_H_
