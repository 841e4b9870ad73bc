// Pooling over windows of an image, NHWC, channel by channel.
//
//   window(p, q) = the elements x[n, p sh - pad_height + r, q sw - pad_width + s, c] that lie inside the image,
//                  r < kernel_height, s < kernel_width
//   x [N, H, W, C], y [N, P, Q, C];   P = (H + 2 pad_height - kernel_height) / sh + 1, rounded down, or, where windows
//   may be partial, that is, reach over the lower and the right border, up; Q likewise
//
// REQUIRES: no window is empty: pad_height < kernel_height, pad_width < kernel_width, where they may be partial stride
// + pad <= kernel; P, Q >= 1.

#ifndef BITGRAD_OPS_KERNELS_POOL_H_
#define BITGRAD_OPS_KERNELS_POOL_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad {

struct PoolGeometry {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // of x
  int64_t kernel_height = 0, kernel_width = 0;
  int64_t stride_height = 1, stride_width = 1;
  int64_t pad_height = 0, pad_width = 0;
  bool partial = false;

  constexpr int64_t out_height() const {
    return (height + 2 * pad_height - kernel_height + (partial ? stride_height - 1 : 0)) / stride_height + 1;
  }
  constexpr int64_t out_width() const {
    return (width + 2 * pad_width - kernel_width + (partial ? stride_width - 1 : 0)) / stride_width + 1;
  }
  constexpr int64_t pixels() const { return batch * out_height() * out_width(); }  // of y
};

// y = the largest element of each window, or its first NaN where it has one. Where `argmax` is not null, argmax [N, P,
// Q, C] = the position of that element in the window, r * kernel_width + s; of several equal elements the first counts.
// REQUIRES, with argmax: kernel_height * kernel_width <= 256.
using MaxPoolForward = void(ExecContext& context, const PoolGeometry& geometry, const float* x, float* y,
                            uint8_t* argmax);
// dx[i] = the sum of dy over those windows whose argmax is element i, in the windows' order.   dx [N, H, W, C] is
// overwritten, not added to.
using MaxPoolBackward = void(ExecContext& context, const PoolGeometry& geometry, const uint8_t* argmax, const float* dy,
                             float* dx);

// y = the mean of each window: its elements are added row by row, left to right, and the sum is multiplied by 1 /
// (their number).
using AveragePoolForward = void(ExecContext& context, const PoolGeometry& geometry, const float* x, float* y);
// dx[i] = the sum of dy / (number of elements of the window), as a multiplication by the reciprocal, over the windows
// that contain element i, in the windows' order.   dx [N, H, W, C] is overwritten, not added to.
using AveragePoolBackward = void(ExecContext& context, const PoolGeometry& geometry, const float* dy, float* dx);

// Max pooling of +-1 values: y = (OR over the window) != flip[c].   x, y bit images [N, H*W*C], [N, P*Q*C] (conv2d.h);
// flip [C] uint8 (0, 1), null for none. With x = (sum >= threshold), y is sign(batch_norm(max_pool(sum))).
using MaxPoolBits = void(ExecContext& context, const PoolGeometry& geometry, ConstBitMatrixView x, const uint8_t* flip,
                         BitMatrixView y);

// Max pooling of codes: y = the largest c of each window, or levels - it where flip[c].   x [N, H, W, C], y [N, P, Q,
// C] bytes, stored codes; flip [C] uint8 (0, 1), null for none. With x = #{l : sum >= threshold[l]} (DotOutput), y is
// quantizer(batch_norm(max_pool(sum))) for a quantizer of `levels` + 1 codes. REQUIRES: no c exceeds `levels`.
using MaxPoolCodes = void(ExecContext& context, const PoolGeometry& geometry, const uint8_t* x, int levels,
                          const uint8_t* flip, uint8_t* y);

// Whether the sum of a window's codes is an exact integer in any arithmetic.
inline bool SumIsExact(const Encoding& encoding, const PoolGeometry& geometry) {
  return encoding.is_integer() &&
         geometry.kernel_height * geometry.kernel_width <= kMaxExactFloatInteger / encoding.max_code();
}

// Average pooling of codes. With sum = the sum of a window's codes, an exact integer, channels as the outputs of `out`,
// and a row of it for each window:
//
//   floats = float(sum) * (scale / number of the window's elements)     the quotient in parentheses is rounded once
//   codes  = #{l < levels : sum >= threshold[l, c]}, or levels - it where flip[c]
//
// x [N, H, W, C] bytes, stored codes; out.floats or out.codes [N P Q, C]. The latter is what follows the mean, batch
// norm and a quantizer, where all windows have as many elements. REQUIRES: SumIsExact(); no gaps between rows of `out`;
// out.scale.is_uniform().
using AveragePoolCodes = void(ExecContext& context, const PoolGeometry& geometry, const Encoding& encoding,
                              const uint8_t* x, const DotOutput& out);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_POOL_H_
