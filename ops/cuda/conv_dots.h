// What the convolutions of few bits share: chunks of patches, the correction of sums at the border, and the output
// transform to floats, codes or bit images.
//
// Where the border's value is none of the codes, it is gathered as another code. A tap outside of the image then adds
// (that code) * (the sum of w's codes under the tap), where it should add (the border's value) * (that same sum):
//   sum_true = sum + missing * (the sum of w's codes under all taps outside)
//   missing  = value - code
// The sums of w's codes under each tap are made once per call. A pixel at the border adds up those of its taps outside.

#ifndef BITGRAD_OPS_CUDA_CONV_DOTS_H_
#define BITGRAD_OPS_CUDA_CONV_DOTS_H_

#include <cstdint>
#include <functional>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/conv_pixels.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The correction of a chunk's sums at the border.
struct BorderTerms {
  ConvPixels pixels;
  int64_t filters;  // the distance from the sums under one tap to those under the next
  int32_t missing;
  const int32_t* taps;  // [R*S, filters], the sums of w's codes under each tap; null where nothing is to be corrected

  __device__ bool IsZero(const ConvPixels::Patch& patch) const { return taps == nullptr || pixels.IsFull(patch); }
  __device__ int32_t Of(const ConvPixels::Patch& patch, int64_t o) const {
    int32_t sum = 0;
    const int32_t* tap = taps + o;
    // Not unrolled, because the epilogues of products hold a copy of this for each of their cells.
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

// Gathers the patches of a chunk's pixels from a group of channels and multiplies them with the group's filters. `out`
// is [chunk.rows, O/G]. If the product is to correct the border, `border` is the group's correction, else it has none.
using MultiplyPatches =
    std::function<void(const PixelChunk& chunk, int64_t group, const BorderTerms& border, const DotOutput& out)>;

// Calls `multiply` for all groups of all chunks and makes `out` of its results. patch_bytes is the memory that multiply
// allocates for one patch. If product_corrects, multiply corrects the sums at the border itself; else a second pass
// over them does.
void ConvolveChunks(ExecContext& context, const char* name, const ConvGeometry& geometry, const ConstPlanesView& w,
                    int32_t missing, bool product_corrects, int64_t patch_bytes, const DotOutput& out,
                    const MultiplyPatches& multiply);

// The filters of a group.
inline ConstBitMatrixView GroupFilters(const ConvGeometry& g, const ConstBitMatrixView& w, int64_t group) {
  return {w.row(group * g.group_filters()), g.group_filters(), w.cols, w.stride};
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_CONV_DOTS_H_
