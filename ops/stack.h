// Stack: joins tensors of one shape along a new first dimension: T times [streams, features] -> [T, streams, features].
// Each operand's gradient is its part of dy.
//
// Errors: operands of different shapes. An empty list has no tape to report to: the result is an empty Var.

#ifndef BITGRAD_OPS_STACK_H_
#define BITGRAD_OPS_STACK_H_

#include "absl/types/span.h"
#include "bitgrad/graph/var.h"

namespace bitgrad {

// Descriptor: "stack".
Var Stack(absl::Span<const Var> steps);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_STACK_H_
