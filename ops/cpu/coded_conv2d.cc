// Convolution of codes with few bits. The threads share chunks of output pixels (conv_chunks.h). The patches of a chunk
// are gathered, multiplied by one of three kernels for coded operands, and discarded while they are still in the
// cache.
//
//   triples (triple_product.cc)  codes of two bits, where the instruction set has the lookup: patches are gathered
//   plane
//                                by plane, as for the next one
//   bit planes (plane_gemm.cc)   where the product takes few passes over pairs of planes: the images are split into
//                                planes once, and patches are gathered plane by plane
//   Winograd (winograd_conv.cc)  otherwise, for kernels of 3 x 3 whose codes are small enough: not of patches at all
//   bytes (int8_gemm.cc)         otherwise, and for logarithmic images or filters: patches are bytes
//
// The border is gathered as the stored code that is nearest to its value. Where the two differ (a zero border, codes -1
// and +1) the sums are corrected: border_sums.h.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/border_sums.h"
#include "bitgrad/ops/cpu/conv_chunks.h"
#include "bitgrad/ops/cpu/cpu_kernels.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/int8_problem.h"
#include "bitgrad/ops/cpu/plane_problem.h"
#include "bitgrad/ops/cpu/triple_problem.h"
#include "bitgrad/ops/cpu/winograd_conv.h"
#include "bitgrad/ops/kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/coded_conv2d.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bit_patches-inl.h"
#include "bitgrad/ops/cpu/image_bits-inl.h"

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(GatherBitPatches);
HWY_EXPORT(ClearImageBits);
HWY_EXPORT(StoreImageBits);

// The largest number of passes at which planes are still faster than bytes, on machines that count the ones of words in
// one instruction and on others. The same as in ops/dot_kernel.cc for many rows.
constexpr int kMaxPassesCountingWords = 5;
constexpr int kMaxPasses = 2;

// The size of a chunk's patches: the more rows a chunk has, the less the expansion of the filters costs per row.
constexpr int64_t kChunkBytes = 256 << 10;

// The least number of products of codes of two bits that is worth a thread, some ten microseconds.
constexpr int64_t kTripleGrain = 1 << 22;

struct CodedConv {
  ConvGeometry geometry;
  ConstCodesView x;
  ConstPlanesView w;
  DotOutput out;
  uint8_t border_code;  // the border as a stored code
  // Null where no correction is needed: there is no border, or its stored code has exactly its value.
  const BorderSums* border;

  bool to_bits() const { return out.bits.words != nullptr; }
  ConstPlanesView group_filters(int64_t group) const {
    const int64_t filters = geometry.group_filters();
    ConstPlanesView view = {w.encoding, {}};
    for (int q = 0; q < w.encoding.bits; ++q) {
      const ConstBitMatrixView& plane = w.planes[q];
      view.planes[q] = {plane.row(group * filters), filters, plane.cols, plane.stride};
    }
    return view;
  }
};

// The product of one chunk's patches with one group's filters.
struct ChunkProduct {
  int64_t range;  // of chunks: a range is worked on by one thread, which has its own scratch
  int64_t group;
  int64_t begin;  // output pixels
  int64_t end;
  DotOutput out;  // [end - begin, O/G]
  RowClasses row_classes;

  int64_t rows() const { return end - begin; }
  int64_t tiles() const { return (rows() + kTileRows - 1) / kTileRows; }
};

ConvChunks ChunksOf(const CodedConv& conv, int64_t pixel_bytes, int64_t ranges) {
  return {conv.geometry, conv.to_bits(), std::max<int64_t>(kTileRows, kChunkBytes / pixel_bytes), ranges};
}

// Calls multiply(product) for all groups of all chunks.
template <typename Multiply>
void ForEachProduct(ExecContext& context, const CodedConv& conv, const ConvChunks& chunks, int64_t ranges,
                    const Multiply& multiply) {
  const ConvGeometry& g = conv.geometry;
  const int64_t rows = chunks.max_pixels(), filters = g.group_filters();
  const int64_t bit_words = BitMatrix::WordsPerRow(filters);
  const Scratch<uint64_t> bits(context, conv.to_bits() ? ranges * rows * bit_words : 0);
  const Scratch<int32_t> classes(context, conv.border != nullptr ? ranges * rows : 0);
  const auto convolve = [&](int64_t range, int64_t begin, int64_t end) {
    RowClasses row_classes;
    if (conv.border != nullptr) {
      int32_t* const chunk_classes = classes.data() + range * rows;
      conv.border->Classify(begin, end, chunk_classes);
      row_classes.classes = chunk_classes;
    }
    if (conv.to_bits()) HWY_DYNAMIC_DISPATCH(ClearImageBits)(g, begin, end, conv.out.bits);
    for (int64_t group = 0; group < g.groups; ++group) {
      if (conv.border != nullptr) {
        row_classes.terms = conv.border->sums(0, group);
        row_classes.stride = conv.border->class_stride();
      }
      ChunkProduct product = {range, group, begin, end, conv.out.TransformFrom(group * filters), row_classes};
      if (conv.to_bits()) {
        product.out.bits = {bits.data() + range * rows * bit_words, end - begin, filters, bit_words};
        multiply(product);
        HWY_DYNAMIC_DISPATCH(StoreImageBits)(g, group, begin, end, product.out.bits, conv.out.bits);
      } else if (conv.out.codes.data != nullptr) {
        const MatrixView<uint8_t>& y = conv.out.codes;
        product.out.codes = {y.row(begin) + group * filters, end - begin, filters, y.stride};
        multiply(product);
      } else {
        const MatrixView<float>& y = conv.out.floats;
        product.out.floats = {y.row(begin) + group * filters, end - begin, filters, y.stride};
        multiply(product);
      }
    }
  };
  ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      for (int64_t c = chunks.count() * r / ranges; c < chunks.count() * (r + 1) / ranges; ++c) {
        convolve(r, chunks.begin(c), chunks.end(c));
      }
    }
  });
}

// The images, split into planes.
class ImagePlanes {
 public:
  ImagePlanes(ExecContext& context, const CodedConv& conv)
      : conv_(conv),
        words_(BitMatrix::WordsPerRow(conv.x.codes.cols)),
        scratch_(context, planes() * conv.geometry.batch * words_) {
    const int64_t batch = conv.geometry.batch;
    for (int q = 0; q < planes(); ++q) {
      images_[q] = {scratch_.data() + q * batch * words_, batch, conv.x.codes.cols, words_};
    }
    PackPlanes(context, conv.x.codes, planes(), images_);
  }

  int planes() const { return conv_.x.encoding.bits; }
  // The words of a plane's patch, with its padding.
  int64_t patch_words() const { return BitMatrix::WordsPerRow(conv_.geometry.patch_size()); }

  // Gathers the patches of a product, plane by plane, each plane_words words after the one before it.
  ConstPlanesView Gather(const ChunkProduct& product, int64_t plane_words, uint64_t* patches) const {
    const ConvGeometry& g = conv_.geometry;
    ConstPlanesView view = {conv_.x.encoding, {}};
    for (int q = 0; q < planes(); ++q) {
      const BitMatrixView plane = {patches + q * plane_words, product.rows(), g.patch_size(), patch_words()};
      HWY_DYNAMIC_DISPATCH(GatherBitPatches)
      (g, product.group, images_[q], conv_.border_code >> q & 1, product.begin, product.end, patch_words(), plane);
      view.planes[q] = plane;
    }
    return view;
  }

 private:
  const CodedConv& conv_;
  const int64_t words_;
  const Scratch<uint64_t> scratch_;
  BitMatrixView images_[kMaxCodeBits];
};

void ConvolvePlanes(ExecContext& context, const CodedConv& conv) {
  const ConvGeometry& g = conv.geometry;
  const ImagePlanes images(context, conv);
  const int planes = images.planes();
  const int64_t words = images.patch_words();
  const int64_t work = g.pixels() * g.filters * words * planes * conv.w.encoding.bits;
  const int64_t ranges = RangeCount(context, work, kPlaneGrain);
  const ConvChunks chunks = ChunksOf(conv, planes * words * 8, ranges);
  const int64_t rows = chunks.max_pixels(), plane_words = rows * words;
  const int64_t scratch_words = PlaneProblem(conv.x.encoding, conv.group_filters(0)).scratch_words();
  const Scratch<uint64_t> patches(context, ranges * planes * plane_words);
  const Scratch<int32_t> row_terms(context, ranges * rows);
  const Scratch<uint64_t> scratch(context, ranges * scratch_words);
  ForEachProduct(context, conv, chunks, ranges, [&](const ChunkProduct& product) {
    const ConstPlanesView filters = conv.group_filters(product.group);
    PlaneProblem p(conv.x.encoding, filters);
    p.a = images.Gather(product, plane_words, patches.data() + product.range * planes * plane_words);
    int32_t* const terms = row_terms.data() + product.range * rows;
    for (int64_t i = 0; i < product.rows(); ++i) terms[i] = PlaneRowTerm(p, i);
    p.row_terms = terms;
    p.row_classes = product.row_classes;
    p.out = product.out;
    for (int64_t cols = 0; cols * kGroupCols < filters.rows(); ++cols) {
      MultiplyPlaneTiles(p, cols, 0, product.tiles(), scratch.data() + product.range * scratch_words);
    }
  });
}

// Calls pack(range, i, filters of the group of channels) for each panel i of columns, of which all groups of channels
// together have `count`: filters are packed once per call.
template <typename Pack>
void ForEachPanel(ExecContext& context, const CodedConv& conv, int64_t ranges, int64_t count, const Pack& pack) {
  const int64_t group_panels = count / conv.geometry.groups;
  ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      for (int64_t i = count * r / ranges; i < count * (r + 1) / ranges; ++i) {
        pack(r, i, conv.group_filters(i / group_panels));
      }
    }
  });
}

void ConvolveTriples(ExecContext& context, const CodedConv& conv) {
  const ConvGeometry& g = conv.geometry;
  const ImagePlanes images(context, conv);
  const int64_t words = images.patch_words();
  const TripleProblem any(conv.x.encoding, conv.group_filters(0));
  const int64_t ranges = RangeCount(context, g.macs(), kTripleGrain);

  const int64_t panel_count = g.groups * any.groups();
  const Scratch<uint8_t> panels(context, panel_count * any.panel_bytes());
  const Scratch<int32_t> column_terms(context, panel_count * kGroupCols);
  const Scratch<uint8_t> pack(context, ranges * any.pack_bytes());
  ForEachPanel(context, conv, ranges, panel_count, [&](int64_t range, int64_t i, const ConstPlanesView& filters) {
    PackTripleGroup(TripleProblem(conv.x.encoding, filters), i % any.groups(), pack.data() + range * any.pack_bytes(),
                    panels.data() + i * any.panel_bytes(), column_terms.data() + i * kGroupCols);
  });

  const ConvChunks chunks = ChunksOf(conv, 2 * (8 * words + any.steps() + kTripleSums), ranges);
  const int64_t rows = chunks.max_pixels(), plane_words = rows * words;
  const Scratch<uint64_t> patches(context, ranges * 2 * plane_words);
  const Scratch<uint16_t> arranged(context, ranges * rows * any.steps());
  const Scratch<int32_t> row_terms(context, ranges * rows);
  const Scratch<uint16_t> sums(context, ranges * rows * kTripleSums);
  ForEachProduct(context, conv, chunks, ranges, [&](const ChunkProduct& product) {
    TripleProblem p(conv.x.encoding, conv.group_filters(product.group));
    const ConstPlanesView a = images.Gather(product, plane_words, patches.data() + product.range * 2 * plane_words);
    uint16_t* const triples = arranged.data() + product.range * rows * p.steps();
    int32_t* const terms = row_terms.data() + product.range * rows;
    for (int64_t i = 0; i < product.rows(); ++i) {
      terms[i] = p.terms.RowTerm(ArrangeTripleRow(p, a.planes[0].row(i), a.planes[1].row(i), triples + i * p.steps()));
    }
    p.a = triples;
    p.m = product.rows();
    p.row_terms = terms;
    p.row_classes = product.row_classes;
    p.panels = panels.data() + product.group * p.groups() * p.panel_bytes();
    p.column_terms = column_terms.data() + product.group * p.groups() * kGroupCols;
    p.out = product.out;
    MultiplyTriples(p, sums.data() + product.range * rows * kTripleSums);
  });
}

// The patch of one output pixel, [R, S, C/G] bytes.
void GatherCodePatch(const CodedConv& conv, const uint8_t* image, int64_t group, int64_t p, int64_t q, uint8_t* patch) {
  const ConvGeometry& g = conv.geometry;
  const ConvAxis vertical = VerticalAxis(g), horizontal = HorizontalAxis(g);
  const TapRange rows = vertical.Inside(p), cols = horizontal.Inside(q);
  const int64_t tap_bytes = g.group_channels(), tap_step = g.dilation_width * g.channels;
  const int64_t run = tap_step == tap_bytes ? cols.size() : 1;  // taps that are contiguous in the image
  if (rows.size() < g.kernel_height || cols.size() < g.kernel_width) {
    std::memset(patch, conv.border_code, static_cast<size_t>(g.patch_size()));
  }
  for (int64_t r = rows.begin; r < rows.end; ++r) {
    const int64_t row = (vertical.First(p) + r * g.dilation_height) * g.width;
    for (int64_t s = cols.begin; s < cols.end; s += run) {
      const int64_t column = horizontal.First(q) + s * g.dilation_width;
      std::memcpy(patch + (r * g.kernel_width + s) * tap_bytes, image + (row + column) * g.channels + group * tap_bytes,
                  static_cast<size_t>(run * tap_bytes));
    }
  }
}

void ConvolveBytes(ExecContext& context, const CodedConv& conv) {
  const ConvGeometry& g = conv.geometry;
  const Int8Problem any(conv.x.encoding, conv.group_filters(0));
  const int64_t ranges = RangeCount(context, g.macs() * any.a_digits() * any.digits(), kInt8Grain);

  const int64_t panel_count = g.groups * any.groups();
  const Scratch<uint8_t> blocks(context, panel_count * any.block_bytes());
  const Scratch<int64_t> column_terms(context, panel_count * kGroupCols);
  const Scratch<uint8_t> scratch(context, ranges * any.scratch_bytes());
  ForEachPanel(context, conv, ranges, panel_count, [&](int64_t range, int64_t i, const ConstPlanesView& filters) {
    ExpandInt8Group(Int8Problem(conv.x.encoding, filters), i % any.groups(),
                    scratch.data() + range * any.scratch_bytes(), blocks.data() + i * any.block_bytes(),
                    column_terms.data() + i * kGroupCols);
  });

  const ConvChunks chunks = ChunksOf(conv, any.row_bytes(), ranges);
  const int64_t rows = chunks.max_pixels();
  const Scratch<uint8_t> patches(context, ranges * g.patch_size());
  const Scratch<uint8_t> arranged(context, ranges * rows * any.row_bytes());
  const Scratch<int32_t> row_terms(context, ranges * rows);
  ForEachProduct(context, conv, chunks, ranges, [&](const ChunkProduct& product) {
    const ConstPlanesView filters = conv.group_filters(product.group);
    Int8Problem p(conv.x.encoding, filters);
    uint8_t* const patch = patches.data() + product.range * g.patch_size();
    uint8_t* const a = arranged.data() + product.range * rows * p.row_bytes();
    int32_t* const terms = row_terms.data() + product.range * rows;
    ForEachOutputRow(g, product.begin, product.end,
                     [&](int64_t pixel, int64_t n, int64_t row, int64_t q_begin, int64_t q_end) {
                       for (int64_t q = q_begin; q < q_end; ++q) {
                         const int64_t i = pixel - product.begin + q - q_begin;
                         GatherCodePatch(conv, conv.x.codes.row(n), product.group, row, q, patch);
                         terms[i] = p.terms.RowTerm(ArrangeInt8Row(p, patch, g.patch_size(), a + i * p.row_bytes()));
                       }
                     });
    p.a = a;
    p.m = product.rows();
    p.row_terms = terms;
    p.row_classes = product.row_classes;
    p.out = product.out;
    for (int64_t cols = 0; cols < p.groups(); ++cols) {
      const int64_t i = product.group * p.groups() + cols;
      MultiplyInt8Tiles(p, cols, 0, product.tiles(), blocks.data() + i * p.block_bytes(),
                        column_terms.data() + i * kGroupCols);
    }
  });
}

}  // namespace

void CodedConv2d(ExecContext& context, const ConvGeometry& geometry, const ConstCodesView& x, const ConstPlanesView& w,
                 int32_t padding_code, const DotOutput& out) {
  const ConvGeometry& g = geometry;
  BITGRAD_DCHECK(x.codes.rows == g.batch && x.codes.cols == g.height * g.width * g.channels);
  BITGRAD_DCHECK(w.rows() == g.filters && w.cols() == g.patch_size());
  BITGRAD_DCHECK(CodedConv2dIsExact(x.encoding, w.encoding, g.patch_size(), out));
  BITGRAD_DCHECK(std::abs(padding_code) <= x.encoding.max_code());
  if (g.pixels() == 0 || g.filters == 0) return;

  const CodeMap w_codes = CodeMapOf(w.encoding);
  const int32_t border_code = StoredBorderCode(x.encoding, padding_code);
  const int32_t missing = padding_code - static_cast<int32_t>(x.encoding.code(border_code));
  std::optional<BorderSums> border;
  if (missing != 0 && (g.pad_height > 0 || g.pad_width > 0)) {
    border.emplace(context, g, w);
    for (int64_t c = 0; c < border->classes(); ++c) {
      int32_t* const sums = border->sums(c, 0);
      for (int64_t o = 0; o < border->class_stride(); ++o) {
        sums[o] = missing * (w_codes.step * sums[o] + w_codes.least * border->terms(c));
      }
    }
  }
  const CodedConv conv = {g, x, w, out, static_cast<uint8_t>(border_code), border ? &*border : nullptr};
  if (x.encoding.is_log() || w.encoding.is_log()) return ConvolveBytes(context, conv);
  const int passes = PlanePasses(x.encoding, w.encoding);
  if (x.encoding.bits == 2 && w.encoding.bits == 2 && passes > 2 && CpuLooksUpTriples() &&
      TripleProblem(x.encoding, w).steps() <= kMostTripleSteps) {
    return ConvolveTriples(context, conv);
  }
  const int max_passes = CpuCountsWords() ? kMaxPassesCountingWords : kMaxPasses;
  if (passes <= max_passes) {
    ConvolvePlanes(context, conv);
  } else if (WinogradFits(g, x.encoding, w.encoding, out)) {
    ConvolveWinograd(context, g, x, w, conv.border_code, conv.border, out);
  } else {
    ConvolveBytes(context, conv);
  }
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
