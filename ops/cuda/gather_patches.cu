// Limited by writing the patches: R S times the bytes of the image, which are read from a cache except for the first
// time. A thread copies as many bytes as channels and alignment allow, up to 16. It computes its position with
// multiplications (divisor.h), in some 60 instructions.

#include "bitgrad/ops/cuda/gather_patches.h"

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

template <int kBytes>
struct alignas(kBytes) Bytes {
  uint8_t value[kBytes];
};

// A step is kBytes: a row of patches has `steps` of them, a tap `tap_steps`. Images are counted from the chunk's first
// image.
template <int kBytes>
__global__ void GatherPatchesKernel(ConvPixels pixels, Divisor steps, Divisor tap_steps, Divisor kernel_width,
                                    int first_channel, uint8_t border, ConstMatrixView<uint8_t> images,
                                    MatrixView<uint8_t> patches) {
  ForEachElement(patches.rows * steps.divisor(), [&](int64_t k) {
    uint32_t step = static_cast<uint32_t>(k);
    const uint32_t row = steps.Divide(&step);
    const int64_t column = static_cast<int64_t>(step) * kBytes;
    Bytes<kBytes> v = {};
    if (column < patches.cols) {
      uint32_t c = step;
      uint32_t s = tap_steps.Divide(&c);
      const uint32_t r = kernel_width.Divide(&s);
      const ConvPixels::Patch patch = pixels.At(row);
      const int h = patch.h + static_cast<int>(r) * pixels.dilation_height;
      const int w = patch.w + static_cast<int>(s) * pixels.dilation_width;
      if (pixels.Inside(h, w)) {
        const uint8_t* const from = images.row(patch.image) + pixels.Channel(h, w) + first_channel + c * kBytes;
        v = *reinterpret_cast<const Bytes<kBytes>*>(from);
      } else {
#pragma unroll
        for (uint8_t& byte : v.value) byte = border;
      }
    }
    *reinterpret_cast<Bytes<kBytes>*>(patches.row(row) + column) = v;
  });
}

template <int kBytes>
void GatherBy(ExecContext& context, const char* name, const ConvGeometry& g, const PixelChunk& chunk, int64_t group,
              ConstMatrixView<uint8_t> images, uint8_t border, MatrixView<uint8_t> patches) {
  const int64_t steps = patches.stride / kBytes;
  BITGRAD_CHECK(chunk.rows * steps < kMostDividends);
  const ConstMatrixView<uint8_t> from = {images.row(chunk.image), images.rows - chunk.image, images.cols,
                                         images.stride};
  Launch(context, name, GatherPatchesKernel<kBytes>, OverElements(chunk.rows * steps), ConvPixels(g, chunk),
         Divisor(steps), Divisor(g.group_channels() / kBytes), Divisor(g.kernel_width),
         static_cast<int>(group * g.group_channels()), border, from, patches);
}

}  // namespace

void GatherPatches(ExecContext& context, const char* name, const ConvGeometry& g, const PixelChunk& chunk,
                   int64_t group, ConstMatrixView<uint8_t> images, uint8_t border, MatrixView<uint8_t> patches) {
  BITGRAD_DCHECK(patches.rows == chunk.rows && patches.cols == g.patch_size());
  const auto in_steps = [&](int64_t bytes) {
    return g.group_channels() % bytes == 0 && images.stride % bytes == 0 && patches.stride % bytes == 0 &&
           reinterpret_cast<uintptr_t>(images.data) % bytes == 0 &&
           reinterpret_cast<uintptr_t>(patches.data) % bytes == 0;
  };
  const auto gather_by = in_steps(16)  ? GatherBy<16>
                         : in_steps(8) ? GatherBy<8>
                         : in_steps(4) ? GatherBy<4>
                                       : GatherBy<1>;
  gather_by(context, name, g, chunk, group, images, border, patches);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
