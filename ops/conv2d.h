// Convolution: two-dimensional, with pluggable quantizers; ops/linear.h for images.
//
//   x [N, H, W, C], w [O, R, S, C/groups] float32 -> y [N, P, Q, O] float32      geometry: ops/kernels/conv2d.h
//
// Each quantizer gives integer codes and a scale (core/encoding.h):
//
//   y  = conv(c_x, c_w) * (s_x s_w)           codes first, one scale behind
//   dy = q_g(dy)                              where a gradient quantizer is given
//   dx = conv'_x(dy, c_w) s_w * Surrogate_x(x)
//   dw = conv'_w(dy, c_x) s_x * Surrogate_w(w)
//
// The border has the values 0, +1 or -1, not quantized: zero stays zero among +-1 activations, exactly.
//
// Which kernel computes the sums follows from the encodings (ConvKernel below), and is the one that the frozen model
// runs. The backward pass keeps binary activations as bits, and the window of the straight-through estimator too
// (quantizers with another surrogate keep their input as floats); its products are float convolutions with the codes,
// expanded for the time of one layer.
//
// Errors: shapes that do not match, or an image smaller than the kernel; groups that do not divide the channels; a
// border that is no multiple of the input's scale; a quantizer with a scale per row for input or weight;
// stochastic_round for gradients, which makes int8 products in linear layers only; what CheckConvGeometry
// (ops/conv_kernel.h) rejects.

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
