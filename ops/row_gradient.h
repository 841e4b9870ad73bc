// A gradient by rows (Parameter::gradient_rows) as one of the value's shape, for whoever needs every element: update
// rules with state, what adds up gradients of several machines.

#ifndef BITGRAD_OPS_ROW_GRADIENT_H_
#define BITGRAD_OPS_ROW_GRADIENT_H_

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/parameter.h"

namespace bitgrad {

// Makes the parameter's gradient one of the value's shape; other gradients, and none, stay as they are. REQUIRES: value
// and gradient are on the context's device and fit each other (Parameter::GradientFits).
void ExpandRowGradient(ExecContext& context, Parameter& parameter);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_ROW_GRADIENT_H_
