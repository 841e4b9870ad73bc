// Which kernel computes a convolution. This is the only place that decides it, as dot_kernel.h is for linear layers:
// the op asks it in the graph, the runtime asks it for packed models, and `inspect` prints its answer.
//
//   inputs     weights    kernel
//   binary     binary     packed XNOR-popcount
//   integer    integer    codes, as triples of 2-bit codes, as bit planes, by Winograd or as bytes
//                         (ops/cpu/coded_conv2d.cc)
//
// Logarithmic codes, of inputs or weights, are multiplied as bytes. In all other cases the float convolution computes
// it, on the codes where an operand has any. It also does where a sum may exceed 2^24 (with log codes: 32 bits), and in
// groups of less than 32 channels, of which a word of 64 bits would be mostly empty.
//
// Sums of codes that stay below these limits are exact integers in all kernels for codes, so the answer does not depend
// on the choice.

#ifndef BITGRAD_OPS_CONV_KERNEL_H_
#define BITGRAD_OPS_CONV_KERNEL_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/extent2d.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad {

enum class ConvKernel { kXnorPopcount, kCodes, kFloat };

// `threshold` says that the sums are compared with thresholds and only the bits are kept, which the float convolution
// cannot do. REQUIRES then: DotIsExact.
ConvKernel ChooseConvKernel(const Encoding& x, const Encoding& w, const ConvGeometry& geometry, bool threshold = false);

// The same in words: "packed XNOR-popcount", "float convolution (float weights)".
std::string DescribeConvKernel(const Encoding& x, const Encoding& w, const ConvGeometry& geometry,
                               bool threshold = false);

// Sets *code to the integer that stands for the border among codes of `scale`: 0, or +-1 / scale. Returns false where
// that is no integer, or larger than the encoding's largest code.
bool BorderCode(const Encoding& x, float scale, Padding padding, int32_t* code);

// y = the convolution of floats with any kind of border.   x, w, y as in Conv2dF32; `border` is the border's value
// where the padding is not kZero
void FloatConvolution(ExecContext& context, const ConvGeometry& geometry, float border, const float* x, const float* w,
                      float* y);

// InvalidArgument for what is no convolution: extents that are not positive, pads that are negative, groups that do not
// divide channels and filters, a kernel larger than the padded image. Also for what would need more than any real
// convolution does, and than the kernels are made for: extents above kMaxWindowExtent; more than 2^24 - 1 terms in a
// sum or elements in an image with its border; a border as wide as the kernel, so that some windows see nothing of the
// image; more than 2^24 sums at the border (kinds of windows that differ in what they see of the image, times filters
// or taps). REQUIRES: the image's extents are below 2^31.
absl::Status CheckConvGeometry(const ConvGeometry& geometry);

// The same convolution of images whose border has already been added to them.
ConvGeometry WithBorderInImage(const ConvGeometry& geometry);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CONV_KERNEL_H_
