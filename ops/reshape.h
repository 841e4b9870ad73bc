// Reshape: the same elements in another shape. No bytes move. dx is dy in the shape of x.

#ifndef BITGRAD_OPS_RESHAPE_H_
#define BITGRAD_OPS_RESHAPE_H_

#include "bitgrad/graph/var.h"

namespace bitgrad {

// One extent of `shape` may be -1: it follows from the others.
Var Reshape(const Var& x, Shape shape);

// [batch, ...] -> [batch, product of the rest].
Var Flatten(const Var& x);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_RESHAPE_H_
