// Convolutions of few bits with many small groups (depthwise ones), computed sum by sum, all groups at once. As
// products of patches they would take a few launches per group. Products with logarithmic codes that are no bytes are
// computed in the same way.

#ifndef BITGRAD_OPS_CUDA_DIRECT_DOTS_H_
#define BITGRAD_OPS_CUDA_DIRECT_DOTS_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// DirectBitDots() takes images of bits (+-1), DirectCodeDots() images of stored codes. `border` is the border's value
// as a code (for bits 0, +1 or -1). For geometries that are not ConvolvesDirectly() (direct_conv2d.h) they are slow.
void DirectBitDots(ExecContext& context, const ConvGeometry& geometry, ConstBitMatrixView x, ConstBitMatrixView w,
                   int32_t border, const DotOutput& out);
void DirectCodeDots(ExecContext& context, const ConvGeometry& geometry, const ConstCodesView& x,
                    const ConstPlanesView& w, int32_t border, const DotOutput& out);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_DIRECT_DOTS_H_
