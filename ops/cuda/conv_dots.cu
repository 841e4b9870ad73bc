#include "bitgrad/ops/cuda/conv_dots.h"

#include <algorithm>

#include "bitgrad/ops/cuda/bit_rows.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/levels.h"
#include "bitgrad/ops/cuda/plane_codes.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// The size of a chunk's patches and sums: it stays in the L2 cache from kernel to kernel, and its product still has
// rows enough for a whole GPU.
constexpr int64_t kChunkBytes = kMostChunkBytes / 2;

// sums[tap * O + o] = the sum of the codes of filter o that lie under the tap. One thread makes one sum, which is
// little work compared with the products.
void SumTaps(ExecContext& context, const char* name, const ConvGeometry& g, const ConstPlanesView& w, int32_t* sums) {
  const int bits = w.encoding.bits, channels = static_cast<int>(g.group_channels());
  if (!w.encoding.is_affine()) {
    const int64_t filters = g.filters;
    const PlaneCodes codes(w);
    return ForCells(context, name, g.kernel_height * g.kernel_width, filters, [=] __device__(int64_t tap, int64_t o) {
      int32_t sum = 0;
      for (int c = 0; c < channels; ++c) sum += codes.At<int32_t>(o, tap * channels + c);
      sums[tap * filters + o] = sum;
    });
  }
  const int32_t least = static_cast<int32_t>(w.encoding.least_code()),
                step = static_cast<int32_t>(w.encoding.code_step());
  const int64_t filters = g.filters;
  ForCells(context, name, g.kernel_height * g.kernel_width, filters, [=] __device__(int64_t tap, int64_t o) {
    int32_t stored = 0;
    for (int q = 0; q < bits; ++q) {
      const uint64_t* const row = w.planes[q].row(o);
      int32_t ones = 0;
      for (int c = 0; c < channels; c += 64) ones += __popcll(BitsAt(row, tap * channels + c, min(64, channels - c)));
      stored += ones << q;
    }
    sums[tap * filters + o] = step * stored + least * channels;
  });
}

// y = float(sum) * scale.at(o). y holds the uncorrected sums as floats; sums at the border are corrected. Where the
// scale is 1, pixels away from the border are left alone. Limited by memory, 8 bytes for each element that changes.
void FinishFloats(ExecContext& context, const char* name, const BorderTerms& border, const ScaleView& scale,
                  MatrixView<float> y) {
  const bool scales = !scale.is_constant() || scale.factor != 1.0f;
  ForCells(context, name, y.rows, y.cols, [=] __device__(int64_t i, int64_t o) {
    const ConvPixels::Patch patch = border.pixels.At(static_cast<uint32_t>(i));
    if (border.IsZero(patch)) {
      if (scales) y.at(i, o) = y.at(i, o) * scale.at(o);
    } else {
      y.at(i, o) = static_cast<float>(static_cast<int32_t>(y.at(i, o)) + border.Of(patch, o)) * scale.at(o);
    }
  });
}

// codes = the codes of dots [rows, O], which are corrected at the border. Limited by reading them.
void FinishCodes(ExecContext& context, const char* name, const BorderTerms& border, const float* dots,
                 const Levels& levels, MatrixView<uint8_t> codes) {
  ForCells(context, name, codes.rows, codes.cols, [=] __device__(int64_t i, int64_t o) {
    const ConvPixels::Patch patch = border.pixels.At(static_cast<uint32_t>(i));
    int32_t dot = static_cast<int32_t>(dots[i * codes.cols + o]);
    if (!border.IsZero(patch)) dot += border.Of(patch, o);
    codes.at(i, o) = levels.Code(o, dot);
  });
}

// The output bits of a chunk of whole images, from dots [chunk.rows, O], which are in the order of the bit image.
// Limited by reading them.
void FinishBits(ExecContext& context, const char* name, const ConvGeometry& g, const PixelChunk& chunk,
                const BorderTerms& border, const float* dots, const DotOutput& out) {
  const int64_t image = g.out_height() * g.out_width() * g.filters;
  const int64_t images = chunk.rows * g.filters / image;
  BITGRAD_CHECK(image < kMostDividends);
  const Divisor by_filters(g.filters);
  const int32_t* const threshold = out.threshold;
  const uint8_t* const flip = out.flip;
  PackBits<1>(context, name, images, image,
              [=] __device__(int64_t n, int64_t bit) {
                uint32_t o = static_cast<uint32_t>(bit);
                const uint32_t pixel = by_filters.Divide(&o);
                int32_t dot = static_cast<int32_t>(dots[n * image + bit]);
                if (border.taps != nullptr) {
                  const ConvPixels::Patch patch = border.pixels.At(pixel);
                  if (!border.IsZero(patch)) dot += border.Of(patch, o);
                }
                return (dot >= threshold[o] ? 1 : 0) ^ (flip[o] & 1);
              },
              {BitMatrixView{out.bits.row(chunk.image), images, image, out.bits.stride}});
}

// Joins rows of bits to a bit image. `rows` holds one matrix [chunk.rows, O/G] per group, one after the other. A thread
// assembles one word from all pixels and groups that have bits in it.
__global__ void JoinRowsKernel(const uint64_t* rows, int64_t row_words, int64_t group_words, int64_t pixels,
                               int filters, int group_filters, BitMatrixView image) {
  const int64_t words = (image.cols + kLineBits - 1) / kLineBits * (kLineBits / 64);
  ForEachCell(image.rows, words, [&](int64_t n, int64_t word) {
    uint64_t bits = 0;
    if (word * 64 < image.cols) {
      int64_t pixel = word * 64 / filters;
      int o = static_cast<int>(word * 64 - pixel * filters);
      for (int bit = 0; bit < 64 && pixel < pixels;) {
        const int group = o / group_filters, from = o - group * group_filters;
        const int count = min(group_filters - from, 64 - bit);
        bits |= BitsAt(rows + group * group_words + (n * pixels + pixel) * row_words, from, count) << bit;
        bit += count;
        o += count;
        if (o == filters) {
          o = 0;
          ++pixel;
        }
      }
    }
    image.row(n)[word] = bits;
  });
}

}  // namespace

void ConvolveChunks(ExecContext& context, const char* name, const ConvGeometry& g, const ConstPlanesView& w,
                    int32_t missing, bool product_corrects, int64_t patch_bytes, const DotOutput& out,
                    const MultiplyPatches& multiply) {
  if (g.pixels() == 0 || g.filters == 0) return;
  const bool has_terms = missing != 0 && g.has_border(), to_bits = out.bits.words != nullptr,
             to_codes = out.codes.data != nullptr;
  const bool corrects = has_terms && !product_corrects;  // whether a pass after the product corrects the border
  const int64_t filters = g.group_filters();
  const Scratch<int32_t> taps(context, has_terms ? g.kernel_height * g.kernel_width * g.filters : 0);
  if (has_terms) SumTaps(context, name, g, w, taps.data());

  const int64_t row_words = BitMatrix::WordsPerRow(filters);
  const int64_t dot_bytes = corrects ? g.filters * 4 : to_bits ? g.groups * row_words * 8 : 0;
  ForEachChunk(g, kChunkBytes, patch_bytes + dot_bytes, /*whole_images=*/to_bits, [&](const PixelChunk& chunk) {
    const BorderTerms border = {ConvPixels(g, chunk), g.filters, missing, has_terms ? taps.data() : nullptr};
    const auto multiply_groups = [&](const auto& output_of) {
      for (int64_t group = 0; group < g.groups; ++group) {
        BorderTerms of_product = border;
        of_product.taps = has_terms && product_corrects ? taps.data() + group * filters : nullptr;
        multiply(chunk, group, of_product, output_of(group));
      }
    };
    if (to_codes && !corrects) {
      const MatrixView<uint8_t> y = {out.codes.row(chunk.begin(g)), chunk.rows, g.filters, out.codes.stride};
      multiply_groups([&](int64_t group) {
        DotOutput sums = out.TransformFrom(group * filters);
        sums.codes = {y.data + group * filters, chunk.rows, filters, y.stride};
        return sums;
      });
    } else if (!to_bits && !to_codes) {
      const MatrixView<float> y = {out.floats.row(chunk.begin(g)), chunk.rows, g.filters, out.floats.stride};
      multiply_groups([&](int64_t group) {
        DotOutput sums = corrects ? DotOutput() : out.TransformFrom(group * filters);
        sums.floats = {y.data + group * filters, chunk.rows, filters, y.stride};
        return sums;
      });
      if (corrects) FinishFloats(context, name, border, out.scale, y);
    } else if (corrects) {
      const Scratch<float> dots(context, chunk.rows * g.filters);
      multiply_groups([&](int64_t group) -> DotOutput {
        return {.floats = {dots.data() + group * filters, chunk.rows, filters, g.filters}};
      });
      if (to_codes) {
        FinishCodes(context, name, border, dots.data(), Levels(out),
                    {out.codes.row(chunk.begin(g)), chunk.rows, g.filters, out.codes.stride});
      } else {
        FinishBits(context, name, g, chunk, border, dots.data(), out);
      }
    } else {
      const Scratch<uint64_t> rows(context, g.groups * chunk.rows * row_words);
      multiply_groups([&](int64_t group) {
        DotOutput sums = out.TransformFrom(group * filters);
        sums.bits = {rows.data() + group * chunk.rows * row_words, chunk.rows, filters, row_words};
        return sums;
      });
      const int64_t pixels = g.out_height() * g.out_width(), images = chunk.rows / pixels;
      const BitMatrixView image = {out.bits.row(chunk.image), images, pixels * g.filters, out.bits.stride};
      Launch(context, name, JoinRowsKernel, OverElements(images * BitMatrix::WordsPerRow(image.cols)), rows.data(),
             row_words, chunk.rows * row_words, pixels, static_cast<int>(g.filters), static_cast<int>(filters), image);
    }
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
