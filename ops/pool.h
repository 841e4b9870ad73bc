// Pooling over windows of an image, channel by channel. x [N, H, W, C] -> y [N, P, Q, C] float32; windows and extents
// are in ops/kernels/pool.h.
//
//   MaxPool      y = the largest of the window        dx = dy at that element, the first of several; keeps a byte per y
//   AveragePool  y = the mean of the window           dx = dy / (how many elements the window has); keeps nothing
//
// The mean of a value that was quantized to integer codes is that of its codes, times its scale (AveragePoolCodes): the
// sum is exact. Where a sum may exceed 2^24, and of other values, it is a sum of floats.
//
// Elements outside the image belong to no window: they are neither compared nor counted.
// Errors: x is not [batch, height, width, channels] or is empty; a kernel or stride that is not in [1,
// kMaxWindowExtent] (ops/extent2d.h); a pad that is negative or not smaller than the kernel, with `partial` a stride
// and pad that are together larger than the kernel; a window of more than 2^24 elements, or larger than the padded
// image; for the gradient of MaxPool, a window of more than 256 elements.

#ifndef BITGRAD_OPS_POOL_H_
#define BITGRAD_OPS_POOL_H_

#include <cstdint>

#include "bitgrad/graph/var.h"
#include "bitgrad/ops/extent2d.h"

namespace bitgrad {

struct PoolOptions {
  Extent2d kernel = 2;
  Extent2d stride = 2;
  Extent2d pad = 0;
  // Windows that reach over the lower and the right border count, too: the extents of y are rounded up. (PyTorch's
  // ceil_mode, Caffe's and cuda-convnet's pooling.)
  bool partial = false;
};

Var MaxPool(const Var& x, const PoolOptions& options = {});
Var AveragePool(const Var& x, const PoolOptions& options = {});

// The mean of each channel: [N, H, W, C] -> [N, C]. An average_pool over the whole image, then a reshape.
Var GlobalAveragePool(const Var& x);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_POOL_H_
