// ShiftChannels: each channel of images is moved by one fixed tap of a window, which takes no arithmetic. With a 1x1
// convolution behind it, it is a convolution whose kernels have one tap each (Wu et al., "Shift: A Zero FLOP, Zero
// Parameter Alternative to Spatial Convolutions", arXiv 1711.08141).
//
//   y[n, p, q, c] = x[n, p stride + r - pad, q stride + s - pad, c], 0 outside of the image
//
//   taps[c] = r kernel + s, 0 <= r, s < kernel,   pad = kernel / 2, rounded down
//
//   x [N, H, W, C] float32 -> y [N, P, Q, C],   P = (H + 2 pad - kernel) / stride + 1
//
// Gradient: dx[n, p stride + r - pad, q stride + s - pad, c] = dy[n, p, q, c], 0 elsewhere.
//
// Errors: x is no [N, H, W, C], or smaller than the window with its border; taps that are not C numbers below kernel^2;
// kernel or stride not positive, or kernel above 255, or stride above 2^19.

#ifndef BITGRAD_OPS_SHIFT_CHANNELS_H_
#define BITGRAD_OPS_SHIFT_CHANNELS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/graph/var.h"

namespace bitgrad {

Var ShiftChannels(const Var& x, absl::Span<const uint8_t> taps, int64_t kernel, int64_t stride = 1);

// The taps of a layer: the channels in `kernel`^2 groups of about the same size, one for each tap, in order.
std::vector<uint8_t> EvenTaps(int64_t channels, int64_t kernel);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_SHIFT_CHANNELS_H_
