// Convolution: two-dimensional, with pluggable quantizers; ops/linear.h for images.
//
//   x [N, H, W, C], w [O, R, S, C/groups] float32 -> y [N, P, Q, O] float32      geometry: ops/kernels/conv2d.h
//
// Each quantizer gives integer codes and a scale (core/encoding.h):
//
//   y  = conv(c_x, c_w) * (s_x s_w)           the codes are multiplied, and their sum is scaled once
//   dy = q_g(dy)                              where a gradient quantizer is given
//   dx = conv'_x(dy, c_w) s_w * Surrogate_x(x)
//   dw = conv'_w(dy, c_x) s_x * Surrogate_w(w)
//
// The border has the value 0, +1 or -1 and is not quantized: among +-1 activations a border of zero counts as exactly
// zero.
//
// Which kernel computes the sums follows from the encodings (ops/conv_kernel.h); the frozen model runs the same one.
// For the backward pass the op keeps binary activations, and the window of the straight-through estimator, as bits, and
// for quantizers with another surrogate the input as floats. The products of the backward pass are float convolutions;
// the codes of one layer at a time are expanded to floats for them.
//
// Errors: shapes that do not match; what CheckConvGeometry (ops/conv_kernel.h) rejects; a result, or images with their
// border, of more than 2^40 elements; a quantizer whose argument is out of its range; a border that is no multiple of
// the input's scale; a quantizer with a scale per row for input or weight; stochastic_round for gradients, which makes
// int8 products in linear layers only.

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

Var Convolution(const Var& x, const Var& w, const ConvOptions& options = {}, const LinearQuantizers& quantizers = {});

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CONV2D_H_
