// Convolutions of few bits of many small groups (depthwise ones), sum by sum: all groups at once, where products of
// patches would be a few launches per group.

#ifndef BITGRAD_OPS_CUDA_DIRECT_DOTS_H_
#define BITGRAD_OPS_CUDA_DIRECT_DOTS_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Of images of bits, +-1, with a border of `border` (0, +1, -1); of images of stored codes. For geometries for which
// ConvolvesDirectly() (direct_conv2d.h).
void DirectBitDots(ExecContext& context, const ConvGeometry& geometry, ConstBitMatrixView x, ConstBitMatrixView w,
                   int32_t border, const DotOutput& out);
void DirectCodeDots(ExecContext& context, const ConvGeometry& geometry, const ConstCodesView& x,
                    const ConstPlanesView& w, int32_t border, const DotOutput& out);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_DIRECT_DOTS_H_
