// Maxout (Goodfellow et al., "Maxout Networks", ICML 2013): each unit is the largest of its pieces.
//
//   y[.., j] = max over p < pieces of x[.., p n + j]       x [.., pieces n] -> y [.., n], channels of images as well
//
// dx = dy at the largest piece, the first of equal ones, which are frequent where x was rounded; 0 elsewhere. A max
// pooling over the pieces (ops/pool.h), which keeps a byte per unit for the backward pass.
// Errors: the last dimension of x is not a multiple of `pieces`; pieces outside [1, 256].

#ifndef BITGRAD_OPS_MAXOUT_H_
#define BITGRAD_OPS_MAXOUT_H_

#include <cstdint>

#include "bitgrad/graph/var.h"

namespace bitgrad {

Var Maxout(const Var& x, int64_t pieces);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_MAXOUT_H_
