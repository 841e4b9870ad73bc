// Convolution: two-dimensional; ops/linear.h for images.
//
//   x [N, H, W, C], w [O, R, S, C/groups] float32 -> y [N, P, Q, O] float32      geometry: ops/kernels/conv2d.h
//
// Operands that were quantized (ops/quantize.h) are integer codes and scales (core/encoding.h), the scale of x one
// number, that of w one number or one for each filter:
//
//   y  = conv(c_x, c_w) * (s_x s_w)           the codes are multiplied, and their sum is scaled once
//   dy = q_g(dy)                              where a gradient quantizer is given
//   dx = conv'_x(dy s_w, c_w)                 the gradient with respect to the quantized x
//   dw = conv'_w(dy, c_x) s_x                 the gradient with respect to the quantized w
//   dw = conv'_w(dy, q_b(x))                  where a quantizer of the input for the weight's gradient is given: see
//                                             ops/linear.h; the border is not quantized here either
//
// The border has the value 0, +1 or -1 and is not quantized: among +-1 activations a border of zero counts as exactly
// zero.
//
// Which kernel computes the sums follows from the encodings (ops/conv_kernel.h); the frozen model runs the same one.
// For the backward pass the op keeps the operands' bits and codes. The products of the backward pass are float
// convolutions; the codes of one layer at a time are expanded to floats for them.
//
// Errors: shapes that do not match; what CheckConvGeometry (ops/conv_kernel.h) rejects; a result, or images with their
// border, of more than 2^40 elements; operands that were quantized as other matrices than images and filters; a
// quantizer whose argument is out of its range; a border that is no multiple of the input's scale, or of +-1 where that
// scale is learned or measured; stochastic_round for gradients, which makes int8 products in linear layers only.

#ifndef BITGRAD_OPS_CONV2D_H_
#define BITGRAD_OPS_CONV2D_H_

#include <cstdint>
#include <string>

#include "bitgrad/core/encoding.h"
#include "bitgrad/graph/var.h"
#include "bitgrad/ops/extent2d.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/linear.h"

namespace bitgrad {

struct ConvOptions {
  Extent2d stride = 1;
  Extent2d pad = 0;
  Extent2d dilation = 1;
  int64_t groups = 1;
  Padding padding = Padding::kZero;
};

Var Convolution(const Var& x, const Var& w, const ConvOptions& options = {}, const ProductOptions& product = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CONV2D_H_
