// Pooling over windows of an image, NHWC, channel by channel.
//
//   window(p, q) = the elements x[n, p sh - pad_height + r, q sw - pad_width + s, c], r < kernel_height, s <
//   kernel_width,
//                  that lie inside the image
//   x [N, H, W, C], y [N, P, Q, C];   P = (H + 2 pad_height - kernel_height) / sh + 1, rounded down; Q likewise
//
// REQUIRES: every window has an element: pad_height < kernel_height, pad_width < kernel_width; P, Q >= 1.

#ifndef BITGRAD_OPS_KERNELS_POOL_H_
#define BITGRAD_OPS_KERNELS_POOL_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"

namespace bitgrad {

struct PoolGeometry {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // of x
  int64_t kernel_height = 0, kernel_width = 0;
  int64_t stride_height = 1, stride_width = 1;
  int64_t pad_height = 0, pad_width = 0;

  constexpr int64_t out_height() const { return (height + 2 * pad_height - kernel_height) / stride_height + 1; }
  constexpr int64_t out_width() const { return (width + 2 * pad_width - kernel_width) / stride_width + 1; }
  constexpr int64_t pixels() const { return batch * out_height() * out_width(); }  // of y
};

// y = the largest of each window: the first of several, the first NaN where the window has a NaN. Where `argmax` is not
// null, argmax [N, P, Q, C] = which element of the window that is, r * kernel_width + s. REQUIRES, with argmax:
// kernel_height * kernel_width <= 256.
using MaxPoolForward = void(ExecContext& context, const PoolGeometry& geometry, const float* x, float* y,
                            uint8_t* argmax);
// dx = the sum of dy over the windows whose argmax the element is, in the windows' order.   dx [N, H, W, C], written,
// not added to
using MaxPoolBackward = void(ExecContext& context, const PoolGeometry& geometry, const uint8_t* argmax, const float* dy,
                             float* dx);

// y = the mean of each window, its elements added row by row, left to right, then multiplied by 1 / (how many they
// are).
using AveragePoolForward = void(ExecContext& context, const PoolGeometry& geometry, const float* x, float* y);
// dx = the sum of dy * (1 / how many elements the window has) over the windows that the element is in, in their order.
// dx [N, H, W, C], written, not added to
using AveragePoolBackward = void(ExecContext& context, const PoolGeometry& geometry, const float* dy, float* dx);

// Max pooling of +-1 values: y = (OR over the window) != flip[c].   x, y bit images [N, H*W*C], [N, P*Q*C] (conv2d.h);
// flip [C] uint8 (0, 1), null for none. With u = (sum >= threshold) as x, it is what sign(batch_norm(max_pool(sum)))
// is.
using MaxPoolBits = void(ExecContext& context, const PoolGeometry& geometry, ConstBitMatrixView x, const uint8_t* flip,
                         BitMatrixView y);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_POOL_H_
