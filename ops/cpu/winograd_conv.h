// Convolution of codes with kernels of 3 x 3 by Winograd's algorithm F(2 x 2, 3 x 3), in integers: winograd_conv.cc.

#ifndef BITGRAD_OPS_CPU_WINOGRAD_CONV_H_
#define BITGRAD_OPS_CPU_WINOGRAD_CONV_H_

#include <cstdint>

#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cpu/border_sums.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::cpu {

// Whether ConvolveWinograd() computes it, and in clearly fewer products than there are in the filters: kernels of 3 x 3
// with stride 1, without dilation and groups, of codes that are small enough for the transformed ones to be bytes.
bool WinogradFits(const ConvGeometry& geometry, const Encoding& x, const Encoding& w, const DotOutput& out);

// CodedConv2d (ops/kernels/conv2d.h) with the border as the stored code `border_code`, and the sums corrected by
// `border` where that is not null. REQUIRES: WinogradFits().
void ConvolveWinograd(ExecContext& context, const ConvGeometry& geometry, const ConstCodesView& x,
                      const ConstPlanesView& w, uint8_t border_code, const BorderSums* border, const DotOutput& out);

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_WINOGRAD_CONV_H_
