// Images whose channels are each moved by one tap of a window (ops/shift_channels.h, which has the formula).

#ifndef BITGRAD_OPS_KERNELS_SHIFT_CHANNELS_H_
#define BITGRAD_OPS_KERNELS_SHIFT_CHANNELS_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"

namespace bitgrad {

// REQUIRES: 1 <= kernel <= 255, and it is at most an extent and its border, height + 2 pad() and width + 2 pad().
struct ShiftGeometry {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // of x
  int64_t kernel = 1, stride = 1;

  constexpr int64_t pad() const { return kernel / 2; }
  constexpr int64_t out_height() const { return (height + 2 * pad() - kernel) / stride + 1; }
  constexpr int64_t out_width() const { return (width + 2 * pad() - kernel) / stride + 1; }
};

// y[n, p, q, c] = x[n, p stride + r - pad, q stride + s - pad, c], 0 outside of the image, with taps[c] = r kernel + s.
//   taps [C], below kernel^2; x [N, H, W, C], y [N, P, Q, C] float32
using ShiftChannelsForward = void(ExecContext& context, const ShiftGeometry& geometry, const uint8_t* taps,
                                  const float* x, float* y);
// The gradient, in which each element has at most one term. dx is overwritten, not added to.
using ShiftChannelsBackward = void(ExecContext& context, const ShiftGeometry& geometry, const uint8_t* taps,
                                   const float* dy, float* dx);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SHIFT_CHANNELS_H_
