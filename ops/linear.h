// Linear: y = q_x(x) q_w(w)^T, the product at the heart of a dense layer, with pluggable quantizers.
//
//   x [.., in], w [out, in] float32 -> y [.., out] float32
//
// Each quantizer gives integer codes and a scale (core/encoding.h):
//
//   y  = (c_x c_w^T) * (s_x s_w)           the codes are multiplied, and their sum is scaled once
//   dy = q_g(dy)                           where a gradient quantizer is given; stochastic_round: see below
//   dx = (dy c_w) s_w  * Surrogate_x(x)
//   dw = (dy^T c_x) s_x * Surrogate_w(w)   for sign-like quantizers the latent weight gets the gradient
//                                          of the quantized one unchanged (BinaryConnect, arXiv 1511.00363)
//
// Which kernel computes c_x c_w^T follows from the two encodings and the batch size (ops/dot_kernel.h); the frozen
// model runs the same one:
//   binary x binary      packed XNOR-popcount
//   integer x integer    bit planes or int8 GEMM, where sums stay below 2^24, see DotIsExact
//   otherwise            float GEMM
//
// For the backward pass the op keeps binary operands, and the window of the straight-through estimator, as bits. The
// products of gradients with a binary operand read those bits without expanding them (ops/kernels/sign_gemm.h).
//
// The gradient quantizer stochastic_round(k) makes those products int8: it rounds the left operand of each to integers
// with a scale per row, dy for dx (rows are examples) and dy^T for dw (rows are outputs). Both are unbiased. Products
// with an operand that is not binary keep the exact dy.
//
// In evaluation stochastic quantizers are replaced: see Quantizer::AtEvaluation. Errors: shapes that do not multiply,
// or whose product has more than 2^40 elements; a quantizer whose argument is out of its range; an inner dimension of
// 2^24 or more for binary x binary; a quantizer with a scale per row for input or weight; more than 2^17 examples or
// outputs to sum int8 gradients over.

#ifndef BITGRAD_OPS_LINEAR_H_
#define BITGRAD_OPS_LINEAR_H_

#include "bitgrad/graph/var.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

struct LinearQuantizers {
  Quantizer input;
  Quantizer weight;
  Quantizer gradient;  // of y, as it enters the backward pass
};

Var Linear(const Var& x, const Var& w, const LinearQuantizers& quantizers = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPS_LINEAR_H_
