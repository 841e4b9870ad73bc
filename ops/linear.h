// Linear: y = x w^T, the product at the heart of a dense layer.
//
//   x [.., in], w [out, in] float32 -> y [.., out] float32
//
// Operands that were quantized (ops/quantize.h) are integer codes and scales (core/encoding.h), the scale of x one
// number, that of w one number or one for each output:
//
//   y  = (c_x c_w^T) * (s_x s_w)     the codes are multiplied, and their sum is scaled once
//   dy = q_g(dy)                     where a gradient quantizer is given; stochastic_round: see below
//   dx = (dy s_w) c_w                the gradient with respect to the quantized x
//   dw = (dy^T c_x) s_x              the gradient with respect to the quantized w
//   dw = dy^T q_b(x)                 where a quantizer of the input for the weight's gradient is given
//
// The last is quantized backpropagation (Lin et al., arXiv 1510.03009, section 4): with exponential_round as q_b the
// product that makes dw has shifts in place of multiplications, and its mean is the exact one. Forward pass and dx keep
// the real x. It is a product of floats, whatever the quantizer of x.
//
// Which kernel computes c_x c_w^T follows from the two encodings and the batch size (ops/dot_kernel.h); the frozen
// model runs the same one:
//   binary x binary      packed XNOR-popcount
//   integer x integer    bit planes or int8 GEMM, where sums stay below 2^24, see DotIsExact
//   integer x log        int8 GEMM, where sums of 64 bits do not overflow
//   otherwise            float GEMM
//
// For the backward pass the op keeps the operands' bits and codes. The products of gradients with a binary operand read
// its bits without expanding them (ops/kernels/sign_gemm.h).
//
// The gradient quantizer stochastic_round(k) makes those products int8 (of 2 and 3 bits also bit planes, with the same
// results): it rounds the left operand of each to integers with a scale per row, dy for dx (rows are examples) and dy^T
// for dw (rows are outputs). Both are unbiased. Products with an operand that is not binary keep the exact dy.
//
// Errors: shapes that do not multiply, or whose product has more than 2^40 elements; operands that were quantized as
// other matrices than are multiplied; a quantizer whose argument is out of its range; an inner dimension of 2^24 or
// more for binary x binary; more than 2^17 examples or outputs to sum int8 gradients over.

#ifndef BITGRAD_OPS_LINEAR_H_
#define BITGRAD_OPS_LINEAR_H_

#include "bitgrad/graph/var.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

struct ProductOptions {
  Quantizer gradient;  // of y, as it enters the backward pass
  Quantizer input_for_weight_gradient;
};

Var Linear(const Var& x, const Var& w, const ProductOptions& options = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPS_LINEAR_H_
