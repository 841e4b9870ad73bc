// The patches of a convolution side by side as rows of a matrix, whatever a channel is: a float, a byte, bits of whole
// bytes.

#ifndef BITGRAD_OPS_CUDA_GATHER_PATCHES_H_
#define BITGRAD_OPS_CUDA_GATHER_PATCHES_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/conv_pixels.h"
#include "bitgrad/ops/cuda/device.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// patches[row, (r, s, c)] = the bytes under the taps of the chunk's output pixels, `border` outside of the image; up to
// the stride the rest of each row is 0. geometry.channels counts bytes; images [N, H*W*C] bytes, patches [chunk.rows,
// R*S*C/G].
void GatherPatches(ExecContext& context, const char* name, const ConvGeometry& geometry, const PixelChunk& chunk,
                   int64_t group, ConstMatrixView<uint8_t> images, uint8_t border, MatrixView<uint8_t> patches);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_GATHER_PATCHES_H_
