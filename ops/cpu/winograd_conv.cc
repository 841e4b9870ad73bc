// Winograd's algorithm F(2 x 2, 3 x 3) in integers. A tile of 2 x 2 outputs y is computed from 4 x 4 pixels d and a
// filter g of 3 x 3 with 16 products instead of 36, for each channel:
//
//   4 y = A' [ (2G g 2G') * (B' d B) ] A      (' transposes, * multiplies element by element)
//
//        [1  0 -1  0]         [2  0  0]        [1 1  1  0]
//   B' = [0  1  1  0]    2G = [1  1  1]   A' = [0 1 -1 -1]
//        [0 -1  1  0]         [1 -1  1]
//        [0  1  0 -1]         [0  0  2]
//
// Everything is an integer and y is exact. Codes of few bits leave room for the transforms in bytes: with c <= m in the
// image B' d B is in [-2 m, 4 m], so with 2 m added an unsigned byte; with codes of k bits in a filter, less 2^(k - 1),
// 2G g 2G' is in 9 [-2^(k - 1), 2^(k - 1)], for k <= 4 a signed byte. The sums over channels are 16 products of
// matrices, of tiles with filters, and run in the inner loop of int8_gemm.cc. What the added 2 m contributes to y
// depends on the filter alone and is subtracted at the end.
//
// Limit: VPDPBUSD's rate times 2.25. On top come the transforms, in bytes for images and filters, in int32 for sums.
//
// Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", arXiv 1509.09308.

#include "bitgrad/ops/cpu/winograd_conv.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/int8_problem.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/winograd_conv.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/dot_output-inl.h"
#include "bitgrad/ops/cpu/int8_tile-inl.h"
#include "bitgrad/ops/cpu/packed_panels-inl.h"
#include "bitgrad/ops/cpu/plane_codes-inl.h"

#ifndef BITGRAD_OPS_CPU_WINOGRAD_CONV_SHARED_
#define BITGRAD_OPS_CPU_WINOGRAD_CONV_SHARED_
namespace bitgrad::cpu {

inline constexpr int64_t kPoints = 16;     // elements of a transformed tile
inline constexpr int64_t kOutputs = 4;     // of a tile
inline constexpr int kMostImageBits = 5;   // 6 (2^5 - 1) < 256
inline constexpr int kMostFilterBits = 4;  // 9 * 2^3 < 128

struct WinogradProblem {
  WinogradProblem(const ConvGeometry& g, const Encoding& x, const ConstPlanesView& w)
      : geometry(g), products(x, w), steps(g.channels / 4), added(2 * ((1 << x.bits) - 1)) {
    products.CenterColumns(1 << (w.encoding.bits - 1));
  }

  const ConvGeometry& geometry;
  Int8Problem products;  // the same convolution as a product of patches: its terms and its output
  int64_t steps;         // of a product of a transformed tile, four channels each
  int32_t added;         // to the elements of transformed tiles

  int64_t tile_rows() const { return (geometry.out_height() + 1) / 2; }
  int64_t tile_cols() const { return (geometry.out_width() + 1) / 2; }
  // The bytes of a pixel, or of an element of a transformed tile: the channels, to whole vectors.
  int64_t pixel_bytes() const { return (geometry.channels + 63) / 64 * 64; }
  // The pixels of a row of tiles, 4 x as many as here.
  int64_t row_pixels() const { return 2 * tile_cols() + 2; }
  int64_t panel_size() const { return kPoints * steps * kGroupCols; }  // int32, of a group of filters
};

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_WINOGRAD_CONV_SHARED_

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR

bool HasVectors() { return true; }

// y[0 .. 3] = the elements 2 i + j of A' m A.
template <typename V>
HWY_INLINE void TransformSums(const V (&m)[kPoints], V (&y)[kOutputs]) {
  V upper[4], lower[4];
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const V sum = hn::Add(m[4 + c], m[8 + c]), difference = hn::Sub(m[4 + c], m[8 + c]);
    upper[c] = hn::Add(m[c], sum);
    lower[c] = hn::Sub(difference, m[12 + c]);
  }
  y[0] = hn::Add(upper[0], hn::Add(upper[1], upper[2]));
  y[1] = hn::Sub(hn::Sub(upper[1], upper[2]), upper[3]);
  y[2] = hn::Add(lower[0], hn::Add(lower[1], lower[2]));
  y[3] = hn::Sub(hn::Sub(lower[1], lower[2]), lower[3]);
}

// y = 2G g, of three elements.
template <typename V>
HWY_INLINE void TransformTaps(V g0, V g1, V g2, V (&y)[4]) {
  const V ends = hn::Add(g0, g2);
  y[0] = hn::Add(g0, g0);
  y[1] = hn::Add(ends, g1);
  y[2] = hn::Sub(ends, g1);
  y[3] = hn::Add(g2, g2);
}

// Transforms the filters of one group: panels[panel][point][step][column of the panel] int32, so each point is a panel
// of Int8Tile(). A step has channels s, s + 8, s + 16 and s + 24 of 32, as in int8_gemm.cc. `words` is scratch for the
// planes of a panel. column_terms [kGroupCols] are those of the product of patches; added_sums[output][column] is what
// `added` contributes to 4 y.
void TransformFilters(const WinogradProblem& p, int64_t group, uint64_t* words, int32_t* panels, int32_t* column_terms,
                      int32_t* added_sums) {
  const LaneTag d;
  const hn::Repartition<uint8_t, LaneTag> d8;
  using Bytes = hn::Vec<decltype(d8)>;
  const Int8Problem& products = p.products;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), width = kTileVectors * lanes, steps = p.steps;
  const int64_t plane_words = products.words() * width, first = group * kGroupCols;
  const int planes = products.b.encoding.bits;
  const auto center = hn::Set(d8, static_cast<uint8_t>(products.center));
  const auto added = hn::Set(d, p.added * 0x01010101);
  for (int64_t j = 0; j < kGroupCols; ++j) {
    const bool counts = products.terms.a.least != 0 && first + j < products.b.rows();
    column_terms[j] = !counts ? 0
                              : products.terms.ColumnTerm(CodeSum(products.b, first + j, products.words()) -
                                                          products.center * products.terms.k);
  }
  for (int64_t col = 0; col < kGroupCols; col += width, panels += kPoints * steps * width) {
    for (int q = 0; q < planes; ++q) {
      PackPanel(products.b.planes[q], products.words(), first + col, width, words + q * plane_words);
    }
    for (int64_t v = 0; v < width; v += lanes) {
      LaneVec sums[3][3];
#pragma GCC unroll 9
      for (int t = 0; t < 9; ++t) sums[t / 3][t % 3] = hn::Zero(d);
      for (int64_t block = 0; block < steps; block += 8) {
        alignas(64) int32_t codes[9][8][hn::MaxLanes(LaneTag())];
        for (int64_t t = 0; t < 9; ++t) {
          const int64_t half = (t * steps + block) / 8;  // which 32 bits of a column
          LaneVec plane[kPlanesTogether], bytes[8];
#pragma GCC unroll 4
          for (int q = 0; q < kPlanesTogether; ++q) {
            plane[q] = hn::Zero(d);
            if (q >= planes) continue;
            LaneVec halves[2];
            const uint64_t* const at = words + q * plane_words + half / 2 * width + v;
            hn::LoadInterleaved2(d, reinterpret_cast<const int32_t*>(at), halves[0], halves[1]);
            plane[q] = half % 2 == 0 ? halves[0] : halves[1];
          }
          CodesOfPlanes(plane, bytes);
#pragma GCC unroll 8
          for (int s = 0; s < 8; ++s) hn::Store(bytes[s], d, codes[t][s]);
        }
        for (int64_t s = 0; s < 8; ++s) {
          int32_t* const out = panels + (block + s) * width + v;
          Bytes rows[3][4];
#pragma GCC unroll 3
          for (int c = 0; c < 3; ++c) {
            Bytes taps[3];
#pragma GCC unroll 3
            for (int r = 0; r < 3; ++r) {
              taps[r] = hn::Sub(hn::BitCast(d8, hn::Load(d, codes[3 * r + c][s])), center);
              sums[r][c] = AddProducts(sums[r][c], added, hn::BitCast(d, taps[r]));
            }
            TransformTaps(taps[0], taps[1], taps[2], rows[c]);
          }
#pragma GCC unroll 4
          for (int r = 0; r < 4; ++r) {
            Bytes points[4];
            TransformTaps(rows[0][r], rows[1][r], rows[2][r], points);
#pragma GCC unroll 4
            for (int c = 0; c < 4; ++c) hn::Store(hn::BitCast(d, points[c]), d, out + (4 * r + c) * steps * width);
          }
        }
      }
      LaneVec rows[3][4], points[kPoints], y[kOutputs];
      for (int c = 0; c < 3; ++c) TransformTaps(sums[0][c], sums[1][c], sums[2][c], rows[c]);
      for (int r = 0; r < 4; ++r) {
        LaneVec row[4];
        TransformTaps(rows[0][r], rows[1][r], rows[2][r], row);
        for (int c = 0; c < 4; ++c) points[4 * r + c] = row[c];
      }
      TransformSums(points, y);
      for (int i = 0; i < kOutputs; ++i) hn::Store(y[i], d, added_sums + i * kGroupCols + col + v);
    }
  }
}

// y = B' d, of four elements.
template <typename V>
HWY_INLINE void TransformPixels(V d0, V d1, V d2, V d3, V (&y)[4]) {
  y[0] = hn::Sub(d0, d2);
  y[1] = hn::Add(d1, d2);
  y[2] = hn::Sub(d2, d1);
  y[3] = hn::Sub(d1, d3);
}

// Transforms a row of tiles. `pixels` are four rows of p.row_pixels(); element i of tile t goes to
// out + i * point_stride + t * p.pixel_bytes().
void TransformTileRow(const WinogradProblem& p, const uint8_t* pixels, int64_t point_stride, uint8_t* out) {
  const hn::CappedTag<uint8_t, 64> d;
  using Bytes = hn::Vec<decltype(d)>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), pixel = p.pixel_bytes(), row = p.row_pixels() * pixel;
  const auto added = hn::Set(d, static_cast<uint8_t>(p.added));
  for (int64_t t = 0; t < p.tile_cols(); ++t, pixels += 2 * pixel, out += pixel) {
    for (int64_t c = 0; c < p.geometry.channels; c += lanes) {
      Bytes columns[4][4];
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        const auto load = [&](int r) HWY_ATTR { return hn::Load(d, pixels + r * row + q * pixel + c); };
        TransformPixels(load(0), load(1), load(2), load(3), columns[q]);
      }
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) {
        Bytes points[4];
        TransformPixels(columns[0][r], columns[1][r], columns[2][r], columns[3][r], points);
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) hn::Store(hn::Add(points[q], added), d, out + (4 * r + q) * point_stride + c);
      }
    }
  }
}

// Multiplies `count` tiles with group `group` of the filters. pixel_of[4 t + i] is the row of p.products.out of output
// i of tile t, negative where the image ends before it.
void MultiplyTiles(const WinogradProblem& p, const uint8_t* tiles, int64_t count, int64_t group, const int32_t* panels,
                   const int32_t* column_terms, const int32_t* added_sums, const int32_t* pixel_of) {
  const LaneTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), width = kTileVectors * lanes, pixel = p.pixel_bytes();
  const Int8Problem& products = p.products;
  const GroupOutput output(products.out, products.terms.shift(), products.row_terms, group, column_terms,
                           products.row_classes);
  alignas(64) int32_t sums[kPoints][kTileRows][kGroupCols];
  alignas(64) int32_t dots[kOutputs][kGroupCols];
  for (int64_t tile = 0; tile < count; tile += kTileRows) {
    const int64_t rows = std::min(kTileRows, count - tile);
    for (int64_t i = 0; i < kPoints; ++i) {
      for (int64_t col = 0; col < kGroupCols; col += width) {
        kInt8Tiles[rows - 1](tiles + (i * count + tile) * pixel, pixel, panels + (kPoints * col + i * width) * p.steps,
                             p.steps, &sums[i][0][col]);
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < kGroupCols; j += lanes) {
        LaneVec m[kPoints], y[kOutputs];
#pragma GCC unroll 16
        for (int i = 0; i < kPoints; ++i) m[i] = hn::Load(d, &sums[i][r][j]);
        TransformSums(m, y);
#pragma GCC unroll 4
        for (int i = 0; i < kOutputs; ++i) {
          const LaneVec added = hn::Load(d, added_sums + i * kGroupCols + j);
          hn::Store(hn::ShiftRight<2>(hn::Sub(y[i], added)), d, &dots[i][j]);
        }
      }
      for (int64_t i = 0; i < kOutputs; ++i) {
        const int32_t row = pixel_of[(tile + r) * kOutputs + i];
        if (row >= 0) output.Write(row, dots[i]);
      }
    }
  }
}

#else

bool HasVectors() { return false; }
void TransformFilters(const WinogradProblem&, int64_t, uint64_t*, int32_t*, int32_t*, int32_t*) {
  BITGRAD_CHECK(false);
}
void TransformTileRow(const WinogradProblem&, const uint8_t*, int64_t, uint8_t*) { BITGRAD_CHECK(false); }
void MultiplyTiles(const WinogradProblem&, const uint8_t*, int64_t, int64_t, const int32_t*, const int32_t*,
                   const int32_t*, const int32_t*) {
  BITGRAD_CHECK(false);
}

#endif  // HWY_TARGET != HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(HasVectors);
HWY_EXPORT(TransformFilters);
HWY_EXPORT(TransformTileRow);
HWY_EXPORT(MultiplyTiles);

// The size of a chunk's transformed tiles, which stay in the second-level cache while all filters are multiplied with
// them.
constexpr int64_t kChunkBytes = 256 << 10;
constexpr int64_t kMinFilters = 16, kMinChannels = 32;

// The rows of tiles [begin, end), counted over all images, which one thread works on.
struct TileRows {
  int64_t begin, end;
};

// The first pixel of a row of tiles.
int64_t FirstPixel(const WinogradProblem& p, int64_t tile_row) {
  const ConvGeometry& g = p.geometry;
  return (tile_row / p.tile_rows() * g.out_height() + tile_row % p.tile_rows() * 2) * g.out_width();
}

// Gathers the four rows of pixels of a row of tiles, in the order of channels that the filters have. code_sums gets the
// sum of each pixel's codes.
void GatherPixels(const WinogradProblem& p, const ConstCodesView& x, uint8_t border_code, int64_t tile_row,
                  uint8_t* pixels, int32_t* code_sums) {
  const ConvGeometry& g = p.geometry;
  const uint8_t* const image = x.codes.row(tile_row / p.tile_rows());
  const int64_t first = tile_row % p.tile_rows() * 2 - g.pad_height;
  Int8Problem pixel = p.products;
  pixel.steps = p.steps;
  for (int64_t h = first; h < first + 4; ++h) {
    for (int64_t w = -g.pad_width; w < p.row_pixels() - g.pad_width; ++w, pixels += p.pixel_bytes(), ++code_sums) {
      if (h >= 0 && h < g.height && w >= 0 && w < g.width) {
        *code_sums = ArrangeInt8Row(pixel, image + (h * g.width + w) * g.channels, g.channels, pixels);
      } else {
        std::memset(pixels, border_code, static_cast<size_t>(g.channels));
        *code_sums = static_cast<int32_t>(g.channels) * border_code;
      }
    }
  }
}

// The rows of the output of a row of tiles whose first pixel is row `first_row`, and their terms.
void PlaceTiles(const WinogradProblem& p, int64_t tile_row, int64_t first_row, const int32_t* code_sums,
                int32_t* row_terms, int32_t* pixel_of) {
  const ConvGeometry& g = p.geometry;
  const int64_t first = tile_row % p.tile_rows() * 2;
  for (int64_t t = 0; t < p.tile_cols(); ++t) {
    for (int64_t i = 0; i < kOutputs; ++i) {
      const int64_t r = i / 2, q = 2 * t + i % 2;
      int32_t& row = pixel_of[t * kOutputs + i];
      row = -1;
      if (first + r >= g.out_height() || q >= g.out_width()) continue;
      row = static_cast<int32_t>(first_row + r * g.out_width() + q);
      int32_t sum = 0;
      for (int64_t tap = 0; tap < 9; ++tap) sum += code_sums[(r + tap / 3) * p.row_pixels() + q + tap % 3];
      row_terms[row] = p.products.terms.RowTerm(sum);
    }
  }
}

}  // namespace

bool WinogradFits(const ConvGeometry& g, const Encoding& x, const Encoding& w, const DotOutput& out) {
  const bool kernel = g.kernel_height == 3 && g.kernel_width == 3 && g.stride_height == 1 && g.stride_width == 1 &&
                      g.dilation_height == 1 && g.dilation_width == 1 && g.groups == 1;
  // Steps are of 32 channels. Four times a sum is below 2^31 for any number of them.
  const bool sums = g.channels % kMinChannels == 0 && g.filters >= kMinFilters && g.patch_size() < (1 << 21);
  return HWY_DYNAMIC_DISPATCH(HasVectors)() && kernel && sums && x.bits <= kMostImageBits &&
         w.bits <= kMostFilterBits && out.bits.words == nullptr && g.out_height() > 1 && g.out_width() > 1;
}

void ConvolveWinograd(ExecContext& context, const ConvGeometry& g, const ConstCodesView& x, const ConstPlanesView& w,
                      uint8_t border_code, const BorderSums* border, const DotOutput& out) {
  const WinogradProblem problem(g, x.encoding, w);
  const Int8Problem& products = problem.products;
  const int64_t groups = products.groups(), ranges = RangeCount(context, g.macs(), kInt8Grain);

  const Scratch<int32_t> panels(context, groups * problem.panel_size());
  const Scratch<int32_t> column_terms(context, groups * kGroupCols);
  const Scratch<int32_t> added_sums(context, groups * kOutputs * kGroupCols);
  const int64_t group_words = w.encoding.bits * products.words() * kGroupCols;
  const Scratch<uint64_t> words(context, ranges * group_words);
  ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      for (int64_t i = groups * r / ranges; i < groups * (r + 1) / ranges; ++i) {
        HWY_DYNAMIC_DISPATCH(TransformFilters)
        (problem, i, words.data() + r * group_words, panels.data() + i * problem.panel_size(),
         column_terms.data() + i * kGroupCols, added_sums.data() + i * kOutputs * kGroupCols);
      }
    }
  });

  const int64_t rows = g.batch * problem.tile_rows(), row_tiles = problem.tile_cols(), pixel = problem.pixel_bytes();
  const int64_t most =
      std::clamp<int64_t>(kChunkBytes / (kPoints * pixel * row_tiles), 1, std::max<int64_t>(1, rows / ranges));
  const int64_t chunks = (rows + most - 1) / most;
  const int64_t chunk_tiles = most * row_tiles, chunk_pixels = chunk_tiles * kOutputs;
  const Scratch<uint8_t> pixels(context, ranges * 4 * problem.row_pixels() * pixel);
  const Scratch<int32_t> code_sums(context, ranges * 4 * problem.row_pixels());
  const Scratch<uint8_t> transformed(context, ranges * kPoints * chunk_tiles * pixel);
  const Scratch<int32_t> pixel_of(context, ranges * chunk_pixels);
  const Scratch<int32_t> row_terms(context, ranges * chunk_pixels);
  const Scratch<int32_t> classes(context, border != nullptr ? ranges * chunk_pixels : 0);
  const auto convolve = [&](int64_t range, const TileRows& chunk) {
    WinogradProblem p = problem;
    const int64_t begin = FirstPixel(p, chunk.begin), end = FirstPixel(p, chunk.end);
    const int64_t tiles = (chunk.end - chunk.begin) * row_tiles;
    int32_t* const terms = row_terms.data() + range * chunk_pixels;
    int32_t* const places = pixel_of.data() + range * chunk_pixels;
    int32_t* const sums = code_sums.data() + range * 4 * p.row_pixels();
    uint8_t* const gathered = pixels.data() + range * 4 * p.row_pixels() * pixel;
    uint8_t* const points = transformed.data() + range * kPoints * chunk_tiles * pixel;
    for (int64_t r = chunk.begin; r < chunk.end; ++r) {
      const int64_t tile = (r - chunk.begin) * row_tiles;
      GatherPixels(p, x, border_code, r, gathered, sums);
      HWY_DYNAMIC_DISPATCH(TransformTileRow)(p, gathered, tiles * pixel, points + tile * pixel);
      PlaceTiles(p, r, FirstPixel(p, r) - begin, sums, terms, places + tile * kOutputs);
    }
    if (border != nullptr) {
      int32_t* const chunk_classes = classes.data() + range * chunk_pixels;
      border->Classify(begin, end, chunk_classes);
      p.products.row_classes = {chunk_classes, border->sums(0, 0), border->class_stride()};
    }
    p.products.row_terms = terms;
    p.products.out = out.TransformFrom(0);
    if (out.codes.data != nullptr) {
      p.products.out.codes = {out.codes.row(begin), end - begin, g.filters, out.codes.stride};
    } else {
      p.products.out.floats = {out.floats.row(begin), end - begin, g.filters, out.floats.stride};
    }
    for (int64_t i = 0; i < groups; ++i) {
      HWY_DYNAMIC_DISPATCH(MultiplyTiles)
      (p, points, tiles, i, panels.data() + i * p.panel_size(), column_terms.data() + i * kGroupCols,
       added_sums.data() + i * kOutputs * kGroupCols, places);
    }
  };
  ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      for (int64_t c = chunks * r / ranges; c < chunks * (r + 1) / ranges; ++c) {
        convolve(r, {c * most, std::min(rows, (c + 1) * most)});
      }
    }
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
