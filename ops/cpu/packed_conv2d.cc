// Convolution of +-1 images with +-1 filters: XNOR-popcount products of patches and filters.
//
// The filters are packed into panels once per call. Then the threads share chunks of output pixels (conv_chunks.h). The
// patches of a chunk are gathered as bits, mostly by copying words, stay in the second-level cache, and are multiplied
// with all panels in the tiles of the packed GEMM (packed_multiply-inl.h).
//
// A border of zeros has no bit. It is gathered as bit 0, so popcount(patch ^ w) counts each term outside of the image
// whose filter bit is 1, and the dot product is
//   dot = K_inside - 2 (count - ones of w outside)
// where K_inside and the ones outside depend only on which taps are outside (border_sums.h).
//
// Packing the panels and, for a border of zeros, counting the ones of w is done per call, not per image. With 512
// filters of 3 x 3 x 512 on one image of 7 x 7 pixels this is a sixth of the time, which a net that kept both would
// save; with larger images or batches it is next to nothing. Groups are convolved one after the other, so many groups
// of few filters each (depthwise) leave most columns of the panels unused.

#include <algorithm>
#include <cstdint>
#include <optional>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/border_sums.h"
#include "bitgrad/ops/cpu/conv_chunks.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/packed_problem.h"
#include "bitgrad/ops/kernels/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/packed_conv2d.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bit_patches-inl.h"
#include "bitgrad/ops/cpu/image_bits-inl.h"
#include "bitgrad/ops/cpu/packed_multiply-inl.h"
#include "bitgrad/ops/cpu/packed_output-inl.h"

#ifndef BITGRAD_OPS_CPU_PACKED_CONV2D_SHARED_
#define BITGRAD_OPS_CPU_PACKED_CONV2D_SHARED_
namespace bitgrad::cpu {

struct PackedConv {
  ConvGeometry geometry;
  ConstBitMatrixView x;
  ConstBitMatrixView w;
  DotOutput out;
  // Null where no correction is needed: there is no border, or its bit has its value.
  const BorderSums* border;

  bool to_bits() const { return out.bits.words != nullptr; }
  int64_t words() const { return (geometry.patch_size() + 63) / 64; }
  // The distance between patches, even because the table lookups read two words at a time.
  int64_t patch_words() const { return (words() + 1) / 2 * 2; }
  ConstBitMatrixView group_filters(int64_t group) const {
    const int64_t filters = geometry.group_filters();
    return {w.row(group * filters), filters, w.cols, w.stride};
  }
  // The product of `rows` patches with the filters of a group; it has no output yet.
  PackedProblem Product(int64_t group, int64_t rows, const uint64_t* patches) const {
    return {{patches, rows, geometry.patch_size(), patch_words()}, group_filters(group), words(), {}};
  }
};

// Sizes in bytes.
struct PackedConvSizes {
  int64_t row_tile;
  int64_t panels;  // of the filters of one group of channels
};

// One thread's scratch for a chunk.
struct PackedConvScratch {
  uint64_t* patches;
  uint8_t* row_tiles;
  uint64_t* bits;    // the output's bits, one row per pixel
  int32_t* classes;  // the pixels' classes, where there is a border to correct
};

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_PACKED_CONV2D_SHARED_

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

PackedConvSizes ConvSizes(const PackedConv& conv) {
  const PackedProblem p = conv.Product(0, 1, nullptr);
  return {.row_tile = Tiles::RowTileBytes(p), .panels = p.groups() * Tiles::GroupBytes(p)};
}

// Packs panels [begin, end) of 64 filters each, counted over all groups of channels.
void PackFilters(const PackedConv& conv, int64_t begin, int64_t end, uint8_t* panels) {
  const PackedProblem first = conv.Product(0, 1, nullptr);
  for (int64_t i = begin; i < end; ++i) {
    const PackedProblem p = conv.Product(i / first.groups(), 1, nullptr);
    PackGroups(p, i % first.groups(), 1, panels + i * Tiles::GroupBytes(p));
  }
}

// An output that first removes from the counts what a border of zeros added to them, and then passes them to Output.
template <typename Output>
class WithoutBorder {
 public:
  WithoutBorder(const PackedProblem& p, const BorderSums& border, int64_t group, const int32_t* classes)
      : output_(p), border_(border), group_(group), classes_(classes) {}

  void BeginGroup(int64_t group, int64_t cols) { output_.BeginGroup(group, cols); }
  HWY_INLINE void Prefetch(int64_t row, int64_t group) const { output_.Prefetch(row, group); }

  HWY_INLINE void operator()(int64_t row, int64_t group, int64_t cols, int32_t terms, int32_t* counts) const {
    if (const int32_t c = classes_[row]; c != BorderSums::kInside) {
      const int32_t* ones = border_.sums(c, group_) + group * kGroup;
      ForEachCount([&](auto d, int64_t j) HWY_ATTR {
        hn::Store(hn::Sub(hn::Load(d, counts + j), hn::LoadU(d, ones + j)), d, counts + j);
      });
      terms -= border_.terms(c);
    }
    output_(row, group, cols, terms, counts);
  }

 private:
  Output output_;
  const BorderSums& border_;
  const int64_t group_;
  const int32_t* const classes_;
};

template <typename Output>
void MultiplyPatches(const PackedConv& conv, const PackedProblem& p, int64_t group, const PackedConvScratch& scratch,
                     uint8_t* panels) {
  if (conv.border == nullptr) {
    Output output(p);
    MultiplyTiles(p, scratch.row_tiles, 0, p.row_tiles(), 0, p.groups(), panels, output);
  } else {
    WithoutBorder<Output> output(p, *conv.border, group, scratch.classes);
    MultiplyTiles(p, scratch.row_tiles, 0, p.row_tiles(), 0, p.groups(), panels, output);
  }
}

// Convolves the output pixels [begin, end), which are a chunk.
void ConvolveChunk(const PackedConv& conv, int64_t begin, int64_t end, const PackedConvScratch& scratch,
                   uint8_t* panels) {
  const ConvGeometry& g = conv.geometry;
  const int64_t rows = end - begin, filters = g.group_filters();
  const BitMatrixView bits = {scratch.bits, rows, filters, BitMatrix::WordsPerRow(filters)};
  if (conv.to_bits()) ClearImageBits(g, begin, end, conv.out.bits);
  for (int64_t group = 0; group < g.groups; ++group) {
    GatherBitPatches(g, group, conv.x, g.padding == Padding::kPlusOne, begin, end, conv.patch_words(),
                     {scratch.patches, rows, g.patch_size(), conv.patch_words()});
    PackedProblem p = conv.Product(group, rows, scratch.patches);
    uint8_t* group_panels = panels + group * p.groups() * Tiles::GroupBytes(p);
    PackRowTiles(p, 0, p.row_tiles(), scratch.row_tiles);
    p.out = conv.out.TransformFrom(group * filters);
    if (conv.to_bits()) {
      p.out.bits = bits;
      MultiplyPatches<ToBits>(conv, p, group, scratch, group_panels);
      StoreImageBits(g, group, begin, end, bits, conv.out.bits);
    } else if (conv.out.codes.data != nullptr) {
      const MatrixView<uint8_t>& y = conv.out.codes;
      p.out.codes = {y.row(begin) + group * filters, rows, filters, y.stride};
      MultiplyPatches<ToCodes>(conv, p, group, scratch, group_panels);
    } else {
      const MatrixView<float>& y = conv.out.floats;
      p.out.floats = {y.row(begin) + group * filters, rows, filters, y.stride};
      MultiplyPatches<ToF32>(conv, p, group, scratch, group_panels);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(ConvSizes);
HWY_EXPORT(PackFilters);
HWY_EXPORT(ConvolveChunk);

// The least work that is worth a thread, some ten microseconds: pairs of words (a XOR, a count and an addition each).
constexpr int64_t kWordGrain = 1 << 18;
// The size of a chunk's patches and row tiles (where `a` is packed into these): it fits the second-level cache beside
// the panels.
constexpr int64_t kChunkBytes = 128 << 10;

}  // namespace

void PackedConv2d(ExecContext& context, const ConvGeometry& geometry, ConstBitMatrixView x, ConstBitMatrixView w,
                  const DotOutput& out) {
  const ConvGeometry& g = geometry;
  BITGRAD_DCHECK(x.rows == g.batch && x.cols == g.height * g.width * g.channels);
  BITGRAD_DCHECK(w.rows == g.filters && w.cols == g.patch_size() && g.patch_size() < (1 << 24));
  BITGRAD_DCHECK(g.channels % g.groups == 0 && g.filters % g.groups == 0);
  if (g.pixels() == 0 || g.filters == 0) return;

  std::optional<BorderSums> border;
  if (g.padding == Padding::kZero && (g.pad_height > 0 || g.pad_width > 0)) {
    border.emplace(context, g, ConstPlanesView{{EncodingKind::kBinary, 1}, {w}});
  }
  const PackedConv conv = {g, x, w, out, border ? &*border : nullptr};
  const PackedConvSizes sizes = HWY_DYNAMIC_DISPATCH(ConvSizes)(conv);
  const int64_t work = g.pixels() * g.filters * conv.words();
  const int64_t ranges = std::clamp<int64_t>(work / kWordGrain, 1, context.threads());

  const Scratch<uint8_t> panels(context, g.groups * sizes.panels);
  const int64_t filter_panels = g.groups * conv.Product(0, 1, nullptr).groups();
  ParallelFor(static_cast<int>(ranges), filter_panels, 1, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(PackFilters)(conv, begin, end, panels.data());
  });

  const int64_t pixel_bytes = conv.patch_words() * 8 + sizes.row_tile / kTileRows;
  const ConvChunks chunks(g, conv.to_bits(), std::max<int64_t>(kTileRows, kChunkBytes / pixel_bytes), ranges);
  const int64_t rows = chunks.max_pixels(), tiles = (rows + kTileRows - 1) / kTileRows;
  const int64_t bit_words = conv.to_bits() ? BitMatrix::WordsPerRow(g.group_filters()) : 0;
  const Scratch<uint64_t> patches(context, ranges * rows * conv.patch_words());
  const Scratch<uint8_t> row_tiles(context, ranges * tiles * sizes.row_tile);
  const Scratch<uint64_t> bits(context, ranges * rows * bit_words);
  const Scratch<int32_t> classes(context, border ? ranges * rows : 0);
  ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const PackedConvScratch scratch = {patches.data() + r * rows * conv.patch_words(),
                                         row_tiles.data() + r * tiles * sizes.row_tile,
                                         bits.data() + r * rows * bit_words, classes.data() + (border ? r * rows : 0)};
      for (int64_t c = chunks.count() * r / ranges; c < chunks.count() * (r + 1) / ranges; ++c) {
        const int64_t begin = chunks.begin(c), end = chunks.end(c);
        if (border) border->Classify(begin, end, scratch.classes);
        HWY_DYNAMIC_DISPATCH(ConvolveChunk)(conv, begin, end, scratch, panels.data());
      }
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
