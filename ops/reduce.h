// Sum and mean of all elements: [any] -> [] (one number). Accumulated in double.
//
//   Sum: factor * sum of x, dx = factor * dy everywhere     Mean: dx = dy / count everywhere

#ifndef BITGRAD_OPS_REDUCE_H_
#define BITGRAD_OPS_REDUCE_H_

#include "bitgrad/graph/var.h"

namespace bitgrad {

Var Sum(const Var& x, float factor = 1.0f);
Var Mean(const Var& x);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_REDUCE_H_
