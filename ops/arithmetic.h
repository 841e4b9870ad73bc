// a + b, a - b, a * b (elementwise), float32.
//
// The shapes are equal, or b has the shape of a without its first (batch) dimension, or of its last, and is broadcast
// over the others: a bias is Add(x, b) with x [batch, n], b [n], a scale per channel Mul(x, b) with x [batch, height,
// width, n].
//
//   Add: da = dg, db = dg     Sub: da = dg, db = -dg     Mul: da = dg b, db = dg a
// where b was broadcast, db is summed over what it was repeated for.

#ifndef BITGRAD_OPS_ARITHMETIC_H_
#define BITGRAD_OPS_ARITHMETIC_H_

#include "bitgrad/graph/var.h"

namespace bitgrad {

Var Add(const Var& a, const Var& b);
Var Sub(const Var& a, const Var& b);
Var Mul(const Var& a, const Var& b);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_ARITHMETIC_H_
