// MatMul: C = A B of two float32 matrices, a [m, k], b [k, n] -> [m, n].
//
//   dA = dC B^T, dB = A^T dC
//
// Layers use Linear (ops/linear.h), which quantizes; this is for products of activations.

#ifndef BITGRAD_OPS_MATMUL_H_
#define BITGRAD_OPS_MATMUL_H_

#include "bitgrad/graph/var.h"

namespace bitgrad {

Var MatMul(const Var& a, const Var& b);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_MATMUL_H_
