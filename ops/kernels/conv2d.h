// Two-dimensional convolution (cross-correlation, as in every deep-learning framework).
//
//   y[n, p, q, o] = sum over r, s, c of xpad[n, p sh + r dh, q sw + s dw, g C/G + c] w[o, r, s, c],   g = o / (O / G)
//
//   x [N, H, W, C], w [O, R, S, C/G], y [N, P, Q, O]: images NHWC, filters OHWI; all contiguous
//   xpad is x with `pad_height` rows above and below and `pad_width` columns left and right, of the value `padding`
//   P = (H + 2 pad_height - dh (R - 1) - 1) / sh + 1, rounded down; Q likewise
//
// A bit image is a BitMatrix [N, H*W*C]: a row holds one image's values in the order of NHWC, channels without gaps, so
// that flattening an image takes no work. Filters are a BitMatrix [O, R*S*C/G].
//
// y is a matrix product of patches [N*P*Q, R*S*C/G] with filters, and all kernels of few bits compute the integer sums
// of that product. Where the border's value is none of the codes (zero is no binary code, say), they pad with some
// other code and correct the sums of the windows that reach over the border:
//
//   sum_true = sum + (code of the padding - code at the border) * (sum of w's codes that lie on the border)

#ifndef BITGRAD_OPS_KERNELS_CONV2D_H_
#define BITGRAD_OPS_KERNELS_CONV2D_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad {

// The value of the border around an image. The numbers are those of proto/packed_model.proto.
enum class Padding : int { kZero = 0, kPlusOne = 1, kMinusOne = 2 };

struct ConvGeometry {
  int64_t batch = 0, height = 0, width = 0, channels = 0;  // of x
  int64_t filters = 0, kernel_height = 0, kernel_width = 0;
  int64_t stride_height = 1, stride_width = 1;
  int64_t pad_height = 0, pad_width = 0;
  int64_t dilation_height = 1, dilation_width = 1;
  int64_t groups = 1;  // divides channels and filters
  Padding padding = Padding::kZero;

  constexpr int64_t out_height() const {
    return (height + 2 * pad_height - dilation_height * (kernel_height - 1) - 1) / stride_height + 1;
  }
  constexpr int64_t out_width() const {
    return (width + 2 * pad_width - dilation_width * (kernel_width - 1) - 1) / stride_width + 1;
  }
  constexpr int64_t pixels() const { return batch * out_height() * out_width(); }  // of y
  constexpr int64_t group_channels() const { return channels / groups; }           // C/G
  constexpr int64_t group_filters() const { return filters / groups; }             // O/G
  // The number of terms in each sum.
  constexpr int64_t patch_size() const { return kernel_height * kernel_width * group_channels(); }
  constexpr bool has_border() const { return pad_height > 0 || pad_width > 0; }
  constexpr int64_t macs() const { return pixels() * filters * patch_size(); }
};

// ---- Float. x [N*H*W, C], w [O, R*S*C/G], y and dy [N*P*Q, O], all without gaps. REQUIRES: padding = kZero, or no
// border. The order of the terms in a sum is not fixed, but no transform (Winograd) is used, so sums of integers below
// 2^24 are exact.

using Conv2dF32 = void(ExecContext& context, const ConvGeometry& geometry, const float* x, const float* w, float* y);

// dx = the gradient with respect to x, dw = that with respect to w. Both are overwritten, not added to.
using Conv2dBackwardInputF32 = void(ExecContext& context, const ConvGeometry& geometry, const float* dy, const float* w,
                                    float* dx);
using Conv2dBackwardWeightF32 = void(ExecContext& context, const ConvGeometry& geometry, const float* x,
                                     const float* dy, float* dw);

// y = x with a border of the value `border` around it.   y [N, H + 2 pad_height, W + 2 pad_width, C]. It serves borders
// other than zero, which the three kernels above do not know.
using PadImageF32 = void(ExecContext& context, const ConvGeometry& geometry, float border, const float* x, float* y);

// ---- Few bits. All sums are exact integers. The output transform (DotOutput) gives out.floats [N*P*Q, O], out.codes
// [N*P*Q, O], an image of codes, or out.bits [N, P*Q*O], a bit image. Its n is O: the thresholds are [O], or [levels,
// O] without gaps.

// Binary x binary, by XNOR-popcount. x is a bit image [N, H*W*C], w [O, R*S*C/G] bits. REQUIRES: patch_size() < 2^24.
using PackedConv2d = void(ExecContext& context, const ConvGeometry& geometry, ConstBitMatrixView x,
                          ConstBitMatrixView w, const DotOutput& out);

// The stored code that stands for the border where patches are gathered: its own or, where it is no code, one next to
// it.
inline int32_t StoredBorderCode(const Encoding& x, int32_t padding_code) {
  return static_cast<int32_t>(std::clamp<int64_t>(x.stored(padding_code), 0, x.largest_stored()));
}

// What a convolution of codes requires of its operands and its output. Sums of logarithmic codes are of 32 bits.
inline bool CodedConv2dIsExact(const Encoding& x, const Encoding& w, int64_t k, const DotOutput& out) {
  return Int8GemmIsExact(x, w, k, out) && (DotIsExact(x, w, k) || LogSumsOf(x, w, k) == LogSums::kInt32);
}

// Codes x codes. x [N, H*W*C] codes; w [O, R*S*C/G] planes. padding_code is the integer at the border: 0 for kZero,
// else +-1 / (scale of x); it need not be a code of x.encoding. REQUIRES: CodedConv2dIsExact() with patch_size();
// |padding_code| <= x.encoding.max_code().
using CodedConv2d = void(ExecContext& context, const ConvGeometry& geometry, const ConstCodesView& x,
                         const ConstPlanesView& w, int32_t padding_code, const DotOutput& out);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_CONV2D_H_
