// Convolution of +-1 images with +-1 filters: patches are gathered as rows of bits and multiplied by the packed
// product. Where a group's channels are a multiple of four bytes, patches are gathered as bytes (gather_patches.h),
// otherwise word by word. By an H200's limits (4.8 TB/s, 15.8 POPS; not measured), writing a patch takes as long as its
// product with 200 filters.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/bit_rows.h"
#include "bitgrad/ops/cuda/conv_dots.h"
#include "bitgrad/ops/cuda/conv_pixels.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/direct_conv2d.h"
#include "bitgrad/ops/cuda/direct_dots.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/gather_patches.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/packed_border_gemm.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// A thread makes one word of a patch, from all taps that have bits in it. `first_channel` is the group's first channel.
// Images are counted from the chunk's first image.
__global__ void GatherBitsKernel(ConvPixels pixels, int channels, int64_t first_channel, bool border_bit,
                                 ConstBitMatrixView images, BitMatrixView patches) {
  ForEachCell(patches.rows, patches.stride, [&](int64_t row, int64_t word) {
    uint64_t bits = 0;
    if (word * 64 < patches.cols) {
      const ConvPixels::Patch patch = pixels.At(static_cast<uint32_t>(row));
      const uint64_t* const image = images.row(patch.image);
      const int tap = static_cast<int>(word * 64) / channels;
      int c = static_cast<int>(word * 64) - tap * channels;
      int r = tap / pixels.kernel_width, s = tap - r * pixels.kernel_width;
      for (int bit = 0; bit < 64 && r < pixels.kernel_height; c = 0) {
        const int count = min(channels - c, 64 - bit);
        const int h = patch.h + r * pixels.dilation_height, w = patch.w + s * pixels.dilation_width;
        uint64_t run = border_bit ? ~uint64_t{0} >> (64 - count) : 0;
        if (pixels.Inside(h, w)) run = BitsAt(image, pixels.Channel(h, w) + first_channel + c, count);
        bits |= run << bit;
        bit += count;
        if (++s == pixels.kernel_width) {
          s = 0;
          ++r;
        }
      }
    }
    patches.row(row)[word] = bits;
  });
}

// Gathers the patches of a chunk: it writes all words of the rows of `patches`.
void GatherBits(ExecContext& context, const ConvGeometry& g, const PixelChunk& chunk, int64_t group,
                ConstBitMatrixView x, const BitMatrixView& patches) {
  const bool border_bit = g.padding == Padding::kPlusOne;
  if (g.group_channels() % 32 == 0) {
    ConvGeometry bytes = g;
    bytes.channels /= 8;
    GatherPatches(context, "packed_conv2d", bytes, chunk, group,
                  {reinterpret_cast<const uint8_t*>(x.words), x.rows, x.cols / 8, x.stride * 8}, border_bit ? 0xff : 0,
                  {reinterpret_cast<uint8_t*>(patches.words), patches.rows, bytes.patch_size(), patches.stride * 8});
    return;
  }
  const ConstBitMatrixView images = {x.row(chunk.image), x.rows - chunk.image, x.cols, x.stride};
  Launch(context, "packed_conv2d", GatherBitsKernel, OverElements(patches.rows * patches.stride), ConvPixels(g, chunk),
         static_cast<int>(g.group_channels()), group * g.group_channels(), border_bit, images, patches);
}

}  // namespace

void PackedConv2d(ExecContext& context, const ConvGeometry& geometry, ConstBitMatrixView x, ConstBitMatrixView w,
                  const DotOutput& out) {
  const ConvGeometry& g = geometry;
  BITGRAD_DCHECK(x.rows == g.batch && x.cols == g.height * g.width * g.channels);
  BITGRAD_DCHECK(w.rows == g.filters && w.cols == g.patch_size() && g.patch_size() < (1 << 24));
  BITGRAD_DCHECK(g.channels % g.groups == 0 && g.filters % g.groups == 0);
  if (ConvolvesDirectly(g)) {
    const int32_t border = g.padding == Padding::kZero ? 0 : g.padding == Padding::kPlusOne ? 1 : -1;
    return DirectBitDots(context, g, x, w, border, out);
  }
  // A border of zeros has no bit. It is gathered as bit 0, which counts as -1, so 1 is missing.
  const int32_t missing = g.padding == Padding::kZero ? 1 : 0;
  // The products read 16 bytes at a time.
  const int64_t words = (g.patch_size() + 127) / 128 * 2;
  // The product corrects floats and bits itself. Levels and a correction in one epilogue have too little room in the
  // registers of a large tile.
  const bool product_corrects = out.codes.data == nullptr;
  ConvolveChunks(context, "packed_conv2d", g, {{EncodingKind::kBinary, 1}, {w}}, missing, product_corrects, words * 8,
                 out, [&](const PixelChunk& chunk, int64_t group, const BorderTerms& border, const DotOutput& sums) {
                   const Scratch<uint64_t> scratch(context, chunk.rows * words);
                   const BitMatrixView patches = {scratch.data(), chunk.rows, g.patch_size(), words};
                   GatherBits(context, g, chunk, group, x, patches);
                   const ConstBitMatrixView filters = GroupFilters(g, w, group);
                   if (border.taps != nullptr) {
                     PackedGemmWithBorder(context, patches, filters, border, sums);
                   } else {
                     PackedGemm(context, patches, filters, sums);
                   }
                 });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
