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

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/conv_pixels.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// What the border has taken from the sums of a chunk.
struct BorderTerms {
  ConvPixels pixels;
  int64_t filters;  // from the sums under one tap to those under the next
  int32_t missing;
  const int32_t* taps;  // the sums under each tap; null where there is nothing to correct

  __device__ bool IsZero(const ConvPixels::Patch& patch) const { return taps == nullptr || pixels.IsFull(patch); }
  __device__ int32_t Of(const ConvPixels::Patch& patch, int64_t o) const {
    int32_t sum = 0;
    const int32_t* tap = taps + o;
    // Not unrolled: products have a copy of this for each of their cells.
#pragma unroll 1
    for (int r = 0; r < pixels.kernel_height; ++r) {
#pragma unroll 1
      for (int s = 0; s < pixels.kernel_width; ++s, tap += filters) {
        const int h = patch.h + r * pixels.dilation_height, w = patch.w + s * pixels.dilation_width;
        if (!pixels.Inside(h, w)) sum += *tap;
      }
    }
    return missing * sum;
  }
};

// Gathers the patches of a group of channels for the pixels of a chunk and multiplies them with the group's filters;
// the output is [chunk.rows, O/G]. Where the product corrects the border, `border` is the group's; else it is zero.
using MultiplyPatches =
    std::function<void(const PixelChunk& chunk, int64_t group, const BorderTerms& border, const DotOutput& out)>;

// Calls multiply for all groups of all chunks and makes `out` of what it makes. patch_bytes: what a patch takes in
// memory, which multiply allocates. product_corrects: multiply adds what the border has taken; else that is another
// pass over its sums.
void ConvolveChunks(ExecContext& context, const char* name, const ConvGeometry& geometry, const ConstPlanesView& w,
                    int32_t missing, bool product_corrects, int64_t patch_bytes, const DotOutput& out,
                    const MultiplyPatches& multiply);

// The filters of a group.
inline ConstBitMatrixView GroupFilters(const ConvGeometry& g, const ConstBitMatrixView& w, int64_t group) {
  return {w.row(group * g.group_filters()), g.group_filters(), w.cols, w.stride};
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_CONV_DOTS_H_
