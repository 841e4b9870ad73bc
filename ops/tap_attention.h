// TapAttention: the kernels of a convolution, each tap weighed by attention that learns which one to keep.
//
//   y[o, t, i] = P[o, t, i] w[o, t, i],   P = softmax_t(T A / std_t(A))       the taps t are those of [R, S]
//
//   w [O, R, S, I], A [O, R, S, I], or [1, R, S, I] for one choice that all filters share, T [] or [1] float32
//   -> y [O, R, S, I]
//
// std is the unbiased deviation over the taps of a kernel, by which A is divided without being centred. T grows in the
// course of training, so that P becomes one-hot; with `hard` it is, and each kernel keeps one tap or none:
//
//   y[o, t, i] = w[o, t, i] where P[o, t, i] > 1/2, else 0
//
// Gradients (ops/kernels/tap_probabilities.h): dw = dy P; dA through the softmax and the deviation, exactly; with
// `hard` dw = dy where the tap is kept, and none of A. T has none.
//
// With `hard`, a w that was quantized gives codes, too, so that the product is one of integers: those of an encoding
// with a 0. Binary codes become ternary ones, k-bit odd integers two's complement of k + 1 bits; codes of 8 bits become
// floats. Without `hard` the values of w count, and y is floats.
//
// Source: Hacene et al., "Attention Based Pruning for Shift Networks" (SAL), arXiv 1905.12300.
//
// Errors: w is no [O, R, S, I] with 2 to 15 taps; A or T of another shape.

#ifndef BITGRAD_OPS_TAP_ATTENTION_H_
#define BITGRAD_OPS_TAP_ATTENTION_H_

#include <cstdint>

#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/var.h"

namespace bitgrad {

Var TapAttention(const Var& w, const Var& attention, const Var& temperature, bool hard = false);

// Fixed taps: y[o, t, i] = w[o, 0, 0, i] where t = taps[i], else 0. w [O, 1, 1, I], which may be quantized, as above ->
// y [O, kernel, kernel, I]: what makes a convolution of a shift of each channel and a 1x1 convolution.
//
// Gradient: dw[o, 0, 0, i] = dy[o, taps[i], i].
//
// Errors: w is no [O, 1, 1, I]; `taps` are not I numbers below kernel^2, which is at most 15.
Var SpreadOverTaps(const Var& w, absl::Span<const uint8_t> taps, int64_t kernel);

// The number of kernels (o, i) that have no tap above 1/2: those that `hard` makes zero. A choice that filters share
// counts for each of the `filters`. Waits for the device.
int64_t CountZeroKernels(ExecContext& context, const Tensor& attention, const Tensor& temperature, int64_t filters);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_TAP_ATTENTION_H_
