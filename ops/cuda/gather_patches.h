// Gathers the patches of a convolution as rows of a matrix. A channel may be anything that consists of whole bytes: a
// float, a byte, or the bits of whole bytes.

#ifndef BITGRAD_OPS_CUDA_GATHER_PATCHES_H_
#define BITGRAD_OPS_CUDA_GATHER_PATCHES_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/conv_pixels.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// patches[row, (r, s, c)] = the bytes under the taps of the chunk's output pixels, or `border` outside of the image.
// The rest of each row, up to the stride, is 0. geometry.channels counts bytes.   images [N, H*W*C] bytes, patches
// [chunk.rows, R*S*C/G]
void GatherPatches(ExecContext& context, const char* name, const ConvGeometry& geometry, const PixelChunk& chunk,
                   int64_t group, ConstMatrixView<uint8_t> images, uint8_t border, MatrixView<uint8_t> patches);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_GATHER_PATCHES_H_
