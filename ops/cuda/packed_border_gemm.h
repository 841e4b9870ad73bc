// The packed product of patches and filters, with an epilogue that corrects each sum at the border while it is in
// registers.

#ifndef BITGRAD_OPS_CUDA_PACKED_BORDER_GEMM_H_
#define BITGRAD_OPS_CUDA_PACKED_BORDER_GEMM_H_

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/conv_dots.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The output transform `out` of dot(i, j) + border.Of(patch of row i, j). REQUIRES: border.taps is not null, and `out`
// is not codes.
void PackedGemmWithBorder(ExecContext& context, ConstBitMatrixView patches, ConstBitMatrixView filters,
                          const BorderTerms& border, const DotOutput& out);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_PACKED_BORDER_GEMM_H_
