// What the convolutions of few bits share: chunks of patches, what a border takes from the sums, floats and bit images
// of them.
//
// A border whose value is no code is gathered as another code, so a tap outside of the image adds (that code) * (the
// sum of w's codes under the tap), where it should add (the border's value) * the same:
//   sum_true = sum + missing * sum over the taps outside of (the sum of w's codes under the tap)
//   missing  = value - code
// The sums under each tap are made once per call, from w alone; a pixel at the border adds up those of its taps
// outside.

#ifndef BITGRAD_OPS_CUDA_CONV_DOTS_H_
#define BITGRAD_OPS_CUDA_CONV_DOTS_H_

#include <cstdint>
#include <functional>

#include "core/exec_context.h"
#include "ops/cuda/conv_pixels.h"
#include "ops/cuda/device.h"
#include "ops/kernels/conv2d.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Gathers the patches of a group of channels for the pixels of a chunk and multiplies them with the group's filters;
// the output is [chunk.rows, O/G].
using MultiplyPatches = std::function<void(const PixelChunk& chunk, int64_t group, const DotOutput& out)>;

// Calls multiply for all groups of all chunks and makes `out` of its sums. patch_bytes: what a patch takes in memory,
// which multiply allocates.
void ConvolveChunks(ExecContext& context, const char* name, const ConvGeometry& geometry, const ConstPlanesView& w,
                    int32_t missing, int64_t patch_bytes, const DotOutput& out, const MultiplyPatches& multiply);

// The filters of a group.
inline ConstBitMatrixView GroupFilters(const ConvGeometry& g, const ConstBitMatrixView& w, int64_t group) {
  return {w.row(group * g.group_filters()), g.group_filters(), w.cols, w.stride};
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_CONV_DOTS_H_
