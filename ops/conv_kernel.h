// Which kernel computes a convolution. The one place that knows, as dot_kernel.h for linear layers: the op asks it in
// the graph, the runtime asks it for packed models, and `inspect` prints what it says.
//
//   inputs     weights    kernel
//   binary     binary     packed XNOR-popcount
//   integer    integer    codes: bit planes or bytes
//   otherwise, where a sum may exceed 2^24, or in groups of less than 32 channels (a word would be mostly empty):
//   float, on the codes where there are any
//
// Sums of codes that stay below 2^24 are exact integers in all three, so the answers do not depend on the choice.

#ifndef BITGRAD_OPS_CONV_KERNEL_H_
#define BITGRAD_OPS_CONV_KERNEL_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad {

enum class ConvKernel { kXnorPopcount, kCodes, kFloat };

// threshold: whether the sums go straight into threshold bits, which integers only do. REQUIRES then: DotIsExact.
ConvKernel ChooseConvKernel(const Encoding& x, const Encoding& w, const ConvGeometry& geometry, bool threshold = false);

// For people: "packed XNOR-popcount", "float convolution (float weights)".
std::string DescribeConvKernel(const Encoding& x, const Encoding& w, const ConvGeometry& geometry,
                               bool threshold = false);

// The integer at the border of codes of `scale`: 0, or padding / scale. False where that is no integer, or beyond the
// encoding's largest code.
bool BorderCode(const Encoding& x, float scale, Padding padding, int32_t* code);

// y = convolution of floats, with whatever border.   x, w, y as Conv2dF32; border: the value for padding other than
// kZero
void FloatConvolution(ExecContext& context, const ConvGeometry& geometry, float border, const float* x, const float* w,
                      float* y);

// Of kernels, strides, pads and dilations: more than any image has; the product of two and an image's extent has an
// int64.
inline constexpr int64_t kMaxWindowExtent = int64_t{1} << 19;

// InvalidArgument for what is no convolution: extents that are not positive, pads that are negative, groups that do not
// divide channels and filters, a kernel larger than the padded image. And where kernels would need more than any real
// convolution does: extents above kMaxWindowExtent; more than 2^24 - 1 terms in a sum or elements in an image with its
// border; a border that is as wide as the kernel, so that some windows see nothing of the image; sums at the border
// (windows that differ in what they see x filters, or x taps) beyond 2^24. REQUIRES: the image's extents are below
// 2^31.
absl::Status CheckConvGeometry(const ConvGeometry& geometry);

// The geometry of an image that has its border already.
ConvGeometry WithBorderInImage(const ConvGeometry& geometry);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CONV_KERNEL_H_
