// The product of coded operands as bytes: `a` is given as bytes, b is expanded from its bit planes.
//
// Columns of c lie in the 32-bit lanes of vectors. One step broadcasts four bytes of a row of `a`, multiplies them with
// the four bytes of each column, and adds the four products to the column's lane: one VPDPBUSD where the machine has
// it. A tile is 6 rows x 64 columns on AVX-512.
//
// b stays in bits in memory. A group of 64 columns is expanded to bytes just before it is used, in the second-level
// cache: of a lane that holds bits 0 .. 31 of its column, the bits s of all bytes are those of k = s, 8 + s, 16 + s,
// 24 + s (plane_codes-inl.h). Step s of a block of 32 therefore multiplies these four k, and the bytes of `a` are
// permuted to the same order first (ArrangeRow).
//
// A logarithmic b is expanded in the same way, and a lookup of 16 bytes at a time turns what is stored into the digits
// of its codes (code_digits-inl.h): one byte up to four bits, then two or four. So it does with the rows of a
// logarithmic `a`. Each pair of digits is a product of its own. Where sums are of 64 bits, any b is digits, so that it
// has no least code.
//
// Every variant below is exact: the bytes of b are c for up to 7 planes and c - 128 for 8 planes, products are added in
// int32, and the saturating VPMADDUBSW is not used.
//
// Limit: two VPDPBUSD per cycle with 64 products each, 128 MAC per cycle and core. Measured: docs/performance.md.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/coded_gemm.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/group_scales.h"
#include "bitgrad/ops/cpu/int8_problem.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/int8_gemm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/code_digits-inl.h"
#include "bitgrad/ops/cpu/dot_output-inl.h"
#include "bitgrad/ops/cpu/int8_tile-inl.h"
#include "bitgrad/ops/cpu/packed_panels-inl.h"
#include "bitgrad/ops/cpu/plane_codes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// Permutes a row to the order of the steps: y[4 s + t] = x[8 t + s] in each block of 32. Elements after the end are
// zero. Returns the sum of x.
int32_t ArrangeRow(const uint8_t* x, int64_t count, int64_t steps, uint8_t* y) {
  int32_t sum = 0;
  int64_t begin = 0;
#if HWY_TARGET == HWY_AVX3_DL
  // Two blocks at a time, by one permutation of the bytes of a vector.
  const hn::CappedTag<uint8_t, 64> d;
  const hn::CappedTag<uint64_t, 8> d64;
  alignas(64) uint8_t from[64];
  for (int i = 0; i < 64; ++i) from[i] = static_cast<uint8_t>(i / 32 * 32 + i % 4 * 8 + i % 32 / 4);
  const auto places = hn::Load(d, from);
  auto sums = hn::Zero(d64);
  for (; begin + 64 <= count; begin += 64) {
    const auto bytes = hn::LoadU(d, x + begin);
    auto permuted = bytes;
    // Highway's own lookup is within blocks of 16 bytes.
    asm("vpermb %2, %1, %0" : "=v"(permuted.raw) : "v"(places.raw), "v"(bytes.raw));
    hn::StoreU(permuted, d, y + begin);
    sums = hn::Add(sums, hn::SumsOf8(bytes));
  }
  sum = static_cast<int32_t>(hn::GetLane(hn::SumOfLanes(d64, sums)));
#endif
  for (int64_t j = begin; j < count; ++j) sum += x[j];
  for (; begin < 4 * steps; begin += 32) {
    uint8_t rest[32] = {};
    const uint8_t* in = x + begin;
    if (begin + 32 > count) {
      std::memcpy(rest, in, static_cast<size_t>(count - begin));
      in = rest;
    }
    uint8_t* out = y + begin;
#if HWY_TARGET == HWY_SCALAR
    for (int s = 0; s < 8; ++s) {
      for (int t = 0; t < 4; ++t) out[4 * s + t] = in[8 * t + s];
    }
#else
    const hn::Full128<uint8_t> d;
    const auto low = hn::LoadU(d, in), high = hn::LoadU(d, in + 16);  // t = 0, 1 and t = 2, 3
    const auto even = hn::InterleaveLower(d, low, high), odd = hn::InterleaveUpper(d, low, high);
    hn::StoreU(hn::InterleaveLower(d, even, odd), d, out);
    hn::StoreU(hn::InterleaveUpper(d, even, odd), d, out + 16);
#endif
  }
  return sum;
}

// The digits of a logarithmic row, one after the other. Returns the sum of the numbers that they make up.
int64_t ArrangeDigits(const Int8Problem& p, const uint8_t* x, int64_t count, uint8_t* y) {
  constexpr int64_t kPiece = 1024;  // a multiple of what ArrangeRow() permutes together
  uint8_t digits[kPiece];
  int64_t sum = 0;
  for (int d = 0; d < p.a_digits(); ++d, y += p.digit_row_bytes()) {
    const DigitTable table = UnsignedDigitTable(p.a_encoding, d);
    int64_t digit_sum = 0;
    for (int64_t begin = 0; begin < p.digit_row_bytes(); begin += kPiece) {
      const int64_t size = std::clamp<int64_t>(count - begin, 0, kPiece);
      const int64_t steps = std::min(kPiece, p.digit_row_bytes() - begin) / 4;
      LookUpDigits(table, x + begin, size, digits);
      digit_sum += ArrangeRow(digits, size, steps, y + begin);
    }
    sum += digit_sum << 8 * d;
  }
  return sum;
}

int64_t Arrange(const Int8Problem& p, const uint8_t* x, int64_t count, uint8_t* y) {
  return p.a_encoding.is_log() ? ArrangeDigits(p, x, count, y) : ArrangeRow(x, count, p.steps, y);
}

// bytes[h][s] = up to four bits of the codes at bit s of each byte of half h of a word, for a vector of columns. `in`
// are the words of the first of `planes` planes, `stride` words from one to the next.
HWY_INLINE void CodesOfWord(const uint64_t* in, int64_t stride, int planes, LaneVec (&bytes)[2][8]) {
  const LaneTag d;
  LaneVec halves[2][kPlanesTogether];
#pragma GCC unroll 4
  for (int q = 0; q < kPlanesTogether; ++q) {
    halves[0][q] = halves[1][q] = hn::Zero(d);
    if (q >= planes) continue;
    hn::LoadInterleaved2(d, reinterpret_cast<const int32_t*>(in + q * stride), halves[0][q], halves[1][q]);
  }
  CodesOfPlanes(halves[0], bytes[0]);
  CodesOfPlanes(halves[1], bytes[1]);
}

// Expands group `group` of b to bytes of what is stored: block[panel][step][column of the panel][4]. `words` is scratch
// for some words of all planes of one panel.
void ExpandGroup(const Int8Problem& p, int64_t group, uint64_t* words, int32_t* block) {
  const LaneTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t width = kTileVectors * lanes, stride = kWordsTogether * width;
  const int planes = p.b.encoding.bits;
  // c - 128 as a signed byte is c with bit 7 inverted.
  const auto start = hn::Set(d, planes == kMaxCodeBits && !p.has_digits ? static_cast<int32_t>(0x80808080u) : 0);
  for (int64_t col = 0; col < kGroupCols; col += width) {
    for (int64_t first = 0; first < p.words(); first += kWordsTogether) {
      const int64_t count = std::min(kWordsTogether, p.words() - first);
      for (int q = 0; q < planes; ++q) {
        ConstBitMatrixView plane = p.b.planes[q];
        plane.words += first;
        // Whole blocks are transposed by vectors, so what pads a row is read, too.
        const int64_t padded = std::min(kWordsTogether, plane.stride - first);
        PackPanel(plane, padded, group * kGroupCols + col, width, words + q * stride);
      }
      for (int64_t w = 0; w < count; ++w, block += 16 * width) {
        for (int64_t c = 0; c < width; c += lanes) {
          const uint64_t* const in = words + w * width + c;
          LaneVec low[2][8], high[2][8];
          CodesOfWord(in, stride, planes, low);
          if (planes > kPlanesTogether) {
            CodesOfWord(in + kPlanesTogether * stride, stride, planes - kPlanesTogether, high);
#pragma GCC unroll 16
            for (int i = 0; i < 16; ++i) {
              // Codes of four bits do not reach beyond their bytes when they are shifted.
              const auto shifted = hn::ShiftLeft<kPlanesTogether>(high[i / 8][i % 8]);
              low[i / 8][i % 8] = hn::Xor(hn::Or(low[i / 8][i % 8], shifted), start);
            }
          }
#pragma GCC unroll 16
          for (int i = 0; i < 16; ++i) hn::Store(low[i / 8][i % 8], d, block + i * width + c);
        }
      }
    }
  }
}

// sums[r * kGroupCols + c] = S of some rows and the columns of a group, with one digit of each. `a` and `digit` are
// their bytes.
HWY_INLINE void MultiplyDigit(const Int8Problem& p, const uint8_t* a, int64_t rows, const uint8_t* digit,
                              int32_t* sums) {
  const int32_t* const panels = reinterpret_cast<const int32_t*>(digit);
  const int64_t width = kTileVectors * static_cast<int64_t>(hn::Lanes(LaneTag()));
  for (int64_t col = 0; col < kGroupCols; col += width) {
    kInt8Tiles[rows - 1](a, p.row_bytes(), panels + 16 * p.words() * col, p.steps, sums + col);
  }
}

// Calls multiply(digit of a, digit of b, shifts) for all pairs of digits, those of the highest place first. `shifts`
// says that the pair is the first one of its place: what came before counts 256 times as much.
template <typename Multiply>
HWY_INLINE void ForEachPairOfDigits(const Int8Problem& p, const Multiply& multiply) {
  const int of_a = p.a_digits(), of_b = p.digits();
  for (int place = of_a + of_b - 2; place >= 0; --place) {
    const int first = std::max(0, place - (of_b - 1));
    for (int d = first; d <= std::min(place, of_a - 1); ++d) multiply(d, place - d, d == first);
  }
}

// The terms of the columns of a group of digits: its product with a row of ones, times the least code of `a`. What is
// between may overflow, but modulo 2^64 it is right, and so is the term, which does not.
HWY_INLINE void DigitColumnTerms(const Int8Problem& p, const uint8_t* block, uint8_t* ones, int64_t* column_terms) {
  for (int64_t i = 0; i < p.digit_row_bytes(); ++i) ones[i] = i / 32 * 32 + i % 4 * 8 + i % 32 / 4 < p.b.cols() ? 1 : 0;
  alignas(64) int32_t sums[kGroupCols];
  uint64_t terms[kGroupCols] = {};
  for (int d = p.digits() - 1; d >= 0; --d) {
    MultiplyDigit(p, ones, 1, block + d * p.digit_bytes(), sums);
    for (int64_t j = 0; j < kGroupCols; ++j) {
      terms[j] = terms[j] * 256 + static_cast<uint64_t>(int64_t{p.terms.a.least} * sums[j]);
    }
  }
  std::copy_n(terms, kGroupCols, column_terms);
}

// Expands a group and computes its terms.
void Expand(const Int8Problem& p, int64_t group, uint8_t* scratch, uint8_t* block, int64_t* column_terms) {
  uint8_t* const last_digit = block + (p.digits() - 1) * p.digit_bytes();
  ExpandGroup(p, group, reinterpret_cast<uint64_t*>(scratch), reinterpret_cast<int32_t*>(last_digit));
  if (p.has_digits) MakeSignedDigits(p.b.encoding, p.digits(), p.digit_bytes(), block);
  std::fill_n(column_terms, kGroupCols, 0);
  if (p.terms.a.least == 0) return;
  if (p.has_digits) return DigitColumnTerms(p, block, scratch, column_terms);
  const int32_t offset = p.center * p.terms.k;
  const int64_t first = group * kGroupCols, cols = std::min(kGroupCols, p.b.rows() - first);
  for (int64_t j = 0; j < cols; ++j) {
    column_terms[j] = p.terms.ColumnTerm(CodeSum(p.b, first + j, p.words()) - offset);
  }
}

// The same as MultiplyInt8Group for sums of 64 bits, which are written as floats.
void MultiplyWideGroup(const Int8Problem& p, int64_t group, int64_t tile_begin, int64_t tile_end, const uint8_t* block,
                       const int64_t* column_terms) {
  const int64_t first = group * kGroupCols, cols = std::min(kGroupCols, p.b.rows() - first);
  float scales[kGroupCols];
  FillGroupScales(p.out.scale, first, cols, scales);
  alignas(64) int32_t sums[kTileRows * kGroupCols];
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t row = tile * kTileRows;
    const int64_t rows = std::min(kTileRows, p.m - row);
    const uint8_t* const a = p.a + row * p.row_bytes();
    // Modulo 2^64.
    uint64_t dots[kTileRows * kGroupCols] = {};
    ForEachPairOfDigits(p, [&](int of_a, int of_b, bool shifts) HWY_ATTR {
      MultiplyDigit(p, a + of_a * p.digit_row_bytes(), rows, block + of_b * p.digit_bytes(), sums);
      const uint64_t factor = shifts ? 256 : 1;
      for (int64_t i = 0; i < rows * kGroupCols; ++i) {
        dots[i] = dots[i] * factor + static_cast<uint64_t>(int64_t{p.terms.a.step} * sums[i]);
      }
    });
    for (int64_t r = 0; r < rows; ++r) {
      float* const y = p.out.floats.row(row + r) + first;
      for (int64_t j = 0; j < cols; ++j) {
        const uint64_t dot = dots[r * kGroupCols + j] + static_cast<uint64_t>(column_terms[j]);
        y[j] = static_cast<float>(static_cast<int64_t>(dot)) * scales[j];
      }
    }
  }
}

// Multiplies row tiles [tile_begin, tile_end) with one group.
void MultiplyInt8Group(const Int8Problem& p, int64_t group, int64_t tile_begin, int64_t tile_end, const uint8_t* block,
                       const int64_t* column_terms) {
  if (p.is_wide) return MultiplyWideGroup(p, group, tile_begin, tile_end, block, column_terms);
  int32_t terms[kGroupCols];
  std::copy_n(column_terms, kGroupCols, terms);
  const GroupOutput output(p.out, p.terms.shift(), p.row_terms, group, terms, p.row_classes);
  const LaneTag d32;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d32));
  alignas(64) int32_t sums[kTileRows * kGroupCols] = {}, digit_sums[kTileRows * kGroupCols];
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    const int64_t row = tile * kTileRows;
    const int64_t rows = std::min(kTileRows, p.m - row);
    const uint8_t* const a = p.a + row * p.row_bytes();
    bool is_first = true;
    ForEachPairOfDigits(p, [&](int of_a, int of_b, bool shifts) HWY_ATTR {
      MultiplyDigit(p, a + of_a * p.digit_row_bytes(), rows, block + of_b * p.digit_bytes(),
                    is_first ? sums : digit_sums);
      // These may overflow, but modulo 2^32 they are right, and so is the dot product in the end, which is an int32.
      for (int64_t i = 0; i < rows * kGroupCols && !is_first; i += lanes) {
        const auto before = hn::Load(d32, sums + i);
        const auto added = hn::Add(shifts ? hn::ShiftLeft<8>(before) : before, hn::Load(d32, digit_sums + i));
        hn::Store(added, d32, sums + i);
      }
      is_first = false;
    });
    for (int64_t r = 0; r < rows; ++r) output.Write(row + r, sums + r * kGroupCols);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(Arrange);
HWY_EXPORT(Expand);
HWY_EXPORT(MultiplyInt8Group);

}  // namespace

int64_t ArrangeInt8Row(const Int8Problem& p, const uint8_t* x, int64_t count, uint8_t* y) {
  return HWY_DYNAMIC_DISPATCH(Arrange)(p, x, count, y);
}

void ExpandInt8Group(const Int8Problem& p, int64_t group, uint8_t* scratch, uint8_t* block, int64_t* column_terms) {
  HWY_DYNAMIC_DISPATCH(Expand)(p, group, scratch, block, column_terms);
}

void MultiplyInt8Tiles(const Int8Problem& p, int64_t group, int64_t tile_begin, int64_t tile_end, const uint8_t* block,
                       const int64_t* column_terms) {
  HWY_DYNAMIC_DISPATCH(MultiplyInt8Group)(p, group, tile_begin, tile_end, block, column_terms);
}

void Int8Gemm(ExecContext& context, const ConstCodesView& a, const ConstPlanesView& b, const DotOutput& out) {
  const int64_t m = a.codes.rows, n = b.rows(), k = b.cols();
  BITGRAD_DCHECK(a.codes.cols == k && Int8GemmIsExact(a.encoding, b.encoding, k, out));
  if (m == 0 || n == 0) return;
  Int8Problem p(a.encoding, b);
  p.m = m;
  p.out = out;

  const Scratch<uint8_t> arranged(context, m * p.row_bytes());
  const Scratch<int32_t> row_terms(context, m);
  ParallelFor(context.threads(), m, std::max<int64_t>(1, (1 << 16) / (k + 1)), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      row_terms.data()[i] = p.terms.RowTerm(ArrangeInt8Row(p, a.codes.row(i), k, arranged.data() + i * p.row_bytes()));
    }
  });
  p.a = arranged.data();
  p.row_terms = row_terms.data();

  const int64_t ranges = RangeCount(context, m * n * k * p.a_digits() * p.digits(), kInt8Grain);
  const int64_t bytes = p.block_bytes() + p.scratch_bytes();
  const Scratch<uint8_t> scratch(context, ranges * bytes);
  ForEachGroup(context, m, n, ranges, [&](int64_t range, int64_t group, int64_t begin, int64_t end) {
    uint8_t* const block = scratch.data() + range * bytes;
    int64_t column_terms[kGroupCols];
    ExpandInt8Group(p, group, block + p.block_bytes(), block, column_terms);
    MultiplyInt8Tiles(p, group, begin, end, block, column_terms);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
