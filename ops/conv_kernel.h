// Which kernel computes a convolution. The one place that knows, as dot_kernel.h for linear layers: the op asks it in the graph,
// the runtime asks it for packed models, and `inspect` prints what it says.
//
//   inputs     weights    kernel
//   binary     binary     packed XNOR-popcount
//   integer    integer    codes: bit planes or bytes
//   otherwise, where a sum may exceed 2^24, or in groups of less than 32 channels (a word would be mostly empty): float, on the
//   codes where there are any
//
// Sums of codes are exact integers in all three, so the answers do not depend on the choice.

#ifndef BITGRAD_OPS_CONV_KERNEL_H_
#define BITGRAD_OPS_CONV_KERNEL_H_

#include <cstdint>
#include <string>

#include "core/encoding.h"
#include "core/exec_context.h"
#include "ops/kernels/conv2d.h"

namespace bitgrad {

enum class ConvKernel { kXnorPopcount, kCodes, kFloat };

// threshold: whether the sums go straight into threshold bits, which integers only do. REQUIRES then: DotIsExact.
ConvKernel ChooseConvKernel(const Encoding& x, const Encoding& w, const ConvGeometry& geometry, bool threshold = false);

// For people: "packed XNOR-popcount", "float convolution (float weights)".
std::string DescribeConvKernel(const Encoding& x, const Encoding& w, const ConvGeometry& geometry, bool threshold = false);

// The integer at the border of codes of `scale`: 0, or padding / scale. False where that is no integer, or beyond the
// encoding's largest code.
bool BorderCode(const Encoding& x, float scale, Padding padding, int32_t* code);

// y = convolution of floats, with whatever border.   x, w, y as Conv2dF32; border: the value for padding other than kZero
void FloatConvolution(ExecContext& context, const ConvGeometry& geometry, float border, const float* x, const float* w,
                      float* y);

// The geometry of an image that has its border already.
ConvGeometry WithBorderInImage(const ConvGeometry& geometry);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CONV_KERNEL_H_
