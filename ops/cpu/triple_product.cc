// The product of codes of two bits, by table lookup.
//
// A triple of codes of `a` has 64 values, and so has one of b. For each value of the former there is a table of 64
// bytes: the sums of the three products with each value of the latter. VPERMB looks up 64 bytes in such a table at a
// time. So a row of `a` is a list of tables, a panel of b has the values of 64 columns in the bytes of a vector, and
// one step, VPERMB and an addition of bytes, adds three products to each of the 64 sums. After nine steps of at most 27
// each, the sums are added to sums of 16 bits; both stay in registers for a block of steps.
//
// The codes come in bit planes p0, p1. The bits of E = (p0 & 0x55..) | (p1 & 0x55..) << 1 are the codes with even k,
// four in each byte, and those of O = (p0 >> 1 & 0x55..) | (p1 & 0xaa..) are the codes with odd k. VPERMB ignores the
// two high bits of a byte, so a byte is a triple as it is. Its fourth code forms a triple with those of two other
// bytes. Which codes meet in a triple does not matter as long as it is the same in both operands.
//
// Limit: one VPERMB of 192 products per cycle on the machines that were measured, where four passes over planes make 85
// and VPDPBUSD 64. Measured: docs/performance.md.

#include "bitgrad/ops/cpu/triple_problem.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bitgrad/core/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/triple_product.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/dot_output-inl.h"

#ifndef BITGRAD_OPS_CPU_TRIPLE_PRODUCT_SHARED_
#define BITGRAD_OPS_CPU_TRIPLE_PRODUCT_SHARED_
namespace bitgrad::cpu {

// table[a][b] = the sum of the products of the three codes of a and the three of b.
struct TripleTables {
  uint8_t table[64][64];
};
constexpr TripleTables MakeTripleTables() {
  TripleTables tables = {};
  for (int a = 0; a < 64; ++a) {
    for (int b = 0; b < 64; ++b) {
      int sum = 0;
      for (int shift = 0; shift < 6; shift += 2) sum += (a >> shift & 3) * (b >> shift & 3);
      tables.table[a][b] = static_cast<uint8_t>(sum);
    }
  }
  return tables;
}
alignas(64) inline constexpr TripleTables kTripleTables = MakeTripleTables();

inline constexpr int64_t kMostPerStep = 27;
inline constexpr int64_t kByteSteps = 255 / kMostPerStep;
static_assert(kMostTripleSteps * kMostPerStep <= 65535);
// The steps of a block: its part of the panels and the tables stay in the first-level cache while all rows are
// multiplied with it.
inline constexpr int64_t kBlockSteps = 14 * kByteSteps;
inline constexpr int64_t kTripleRows = 3;

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_TRIPLE_PRODUCT_SHARED_

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3_DL

bool LooksUpTriples() { return true; }

using ByteTag = hn::CappedTag<uint8_t, 64>;
using ByteVec = hn::Vec<ByteTag>;

// The four codes of every byte of a row, and after these the triples of the fourth codes: steps() bytes, of which the
// low six bits count. The planes are read in whole vectors, as their rows are padded with zeros; up to kSlack bytes
// after the result are overwritten.
constexpr int64_t kSlack = 64;
HWY_INLINE void TripleBytes(const TripleProblem& p, const uint64_t* plane0, const uint64_t* plane1, uint8_t* bytes) {
  const hn::CappedTag<uint64_t, 8> d64;
  const ByteTag d;
  const auto even = hn::Set(d64, 0x5555555555555555u), odd = hn::Set(d64, 0xaaaaaaaaaaaaaaaau);
  // The vectors of codes with odd k overwrite what those with even k have written after their end.
  for (int64_t w = 0; w < p.words; w += 8) {
    const auto low = hn::LoadU(d64, plane0 + w), high = hn::LoadU(d64, plane1 + w);
    const auto codes = hn::Or(hn::And(low, even), hn::ShiftLeft<1>(hn::And(high, even)));
    hn::StoreU(hn::BitCast(d, codes), d, bytes + 8 * w);
  }
  for (int64_t w = 0; w < p.words; w += 8) {
    const auto low = hn::LoadU(d64, plane0 + w), high = hn::LoadU(d64, plane1 + w);
    const auto codes = hn::Or(hn::And(hn::ShiftRight<1>(low), even), hn::And(high, odd));
    hn::StoreU(hn::BitCast(d, codes), d, bytes + 8 * (p.words + w));
  }
  // A triple of fourth codes is made of bytes i, i + rests and i + 2 rests; the last ones may lack the third.
  const int64_t quads = p.quads(), rests = p.rests(), whole = quads - 2 * rests;
  const auto fourth = hn::Set(d64, 0x0303030303030303u);
  const auto fourths = [&](int64_t at) HWY_ATTR {
    return hn::And(hn::ShiftRight<6>(hn::BitCast(d64, hn::LoadU(d, bytes + at))), fourth);
  };
  const auto pair = [&](int64_t i) HWY_ATTR { return hn::Or(fourths(i), hn::ShiftLeft<2>(fourths(i + rests))); };
  const auto store = [&](int64_t i) HWY_ATTR {
    const auto triples = hn::Or(pair(i), hn::ShiftLeft<4>(fourths(i + 2 * rests)));
    hn::StoreU(hn::BitCast(d, triples), d, bytes + quads + i);
  };
  int64_t i = 0;
  for (; i + 64 <= whole; i += 64) store(i);
  if (i > 0 && i < whole) {
    store(whole - 64);
    i = whole;
  }
  for (; i < rests; ++i) {
    const int third = i < whole ? bytes[i + 2 * rests] >> 6 : 0;
    bytes[quads + i] = static_cast<uint8_t>(bytes[i] >> 6 | (bytes[i + rests] >> 6) << 2 | third << 4);
  }
}

// A row becomes the distances of its tables from the first one.
int32_t ArrangeRow(const TripleProblem& p, const uint64_t* plane0, const uint64_t* plane1, uint16_t* row) {
  const int64_t steps = p.steps();
  uint8_t bytes[kMostTripleSteps + kSlack];
  TripleBytes(p, plane0, plane1, bytes);
  const hn::CappedTag<uint16_t, 32> d;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto triple = hn::Set(d, 63);
  int64_t s = 0;
  for (; s + lanes <= steps; s += lanes) {
    hn::StoreU(hn::ShiftLeft<6>(hn::And(hn::PromoteTo(d, hn::LoadU(d8, bytes + s)), triple)), d, row + s);
  }
  for (; s < steps; ++s) row[s] = static_cast<uint16_t>((bytes[s] & 63) << 6);
  return CountRow(plane0, p.words) + 2 * CountRow(plane1, p.words);
}

// out[j * out_stride + i] = in[i * in_stride + j], i, j < 16.
HWY_INLINE void TransposeBytes16(const uint8_t* in, int64_t in_stride, uint8_t* out, int64_t out_stride) {
  const hn::Full128<uint8_t> d;
  hn::Vec<decltype(d)> x[16], y[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) x[i] = hn::LoadU(d, in + i * in_stride);
    // Interleaving rows i and i + 8 rotates the eight bits of an element's place by one; four times swaps row and
    // column.
#pragma GCC unroll 4
  for (int round = 0; round < 4; ++round) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      y[2 * i] = hn::InterleaveLower(d, x[i], x[i + 8]);
      y[2 * i + 1] = hn::InterleaveUpper(d, x[i], x[i + 8]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) x[i] = y[i];
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) hn::StoreU(x[i], d, out + i * out_stride);
}

// panel[step][place]. The even places of a vector have columns 0 .. 31 and the odd ones columns 32 .. 63, so that the
// halves of sums of 16 bits are adjacent columns.
void PackGroup(const TripleProblem& p, int64_t group, uint8_t* scratch, uint8_t* panel, int32_t* column_terms) {
  const int64_t steps = p.steps(), stride = p.pack_stride(), first = group * kGroupCols;
  for (int64_t place = 0; place < kGroupCols; ++place) {
    const int64_t j = place / 2 + place % 2 * (kGroupCols / 2), row = first + j;
    uint8_t* const bytes = scratch + place * stride;
    column_terms[j] = 0;
    if (row >= p.b.rows()) {
      std::memset(bytes, 0, static_cast<size_t>(stride));
      continue;
    }
    TripleBytes(p, p.b.planes[0].row(row), p.b.planes[1].row(row), bytes);
    if (p.terms.a.least != 0) column_terms[j] = p.terms.ColumnTerm(CodeSum(p.b, row, p.words));
  }
  for (int64_t s = 0; s + 16 <= steps; s += 16) {
    for (int64_t place = 0; place < kGroupCols; place += 16) {
      TransposeBytes16(scratch + place * stride + s, stride, panel + s * kGroupCols + place, kGroupCols);
    }
  }
  for (int64_t s = steps / 16 * 16; s < steps; ++s) {
    for (int64_t place = 0; place < kGroupCols; ++place) panel[s * kGroupCols + place] = scratch[place * stride + s];
  }
}

// The bytes of a table at the indices in the low six bits of `index`.
HWY_INLINE ByteVec LookUp(ByteVec table, ByteVec index) {
  // Highway's own lookup is within blocks of 16 bytes.
  ByteVec bytes;
  asm("vpermb %2, %1, %0" : "=v"(bytes.raw) : "v"(index.raw), "v"(table.raw));
  return bytes;
}

// Loads a vector that the compiler keeps in a register. It would otherwise load it again for every row, and loads are
// as scarce as lookups.
HWY_INLINE ByteVec LoadOnce(const uint8_t* p) {
  ByteVec bytes = hn::Load(ByteTag(), p);
  asm("" : "+v"(bytes.raw));
  return bytes;
}

// Sums of 16 bits of one row and the columns of kTripleGroups groups; of each group those with even places come first.
using WideSums = uint16_t[kTripleGroups * kGroupCols];

// Adds the steps [begin, end) to the sums of kRows rows and kGroups groups, or begins with them where begin is 0.
template <int kRows, int kGroups>
HWY_NOINLINE void TripleTile(const uint16_t* a, int64_t a_stride, const uint8_t* panel, int64_t panel_bytes,
                             int64_t begin, int64_t end, WideSums* sums) {
  const ByteTag d;
  const hn::Repartition<uint16_t, ByteTag> d16;
  using WideVec = hn::Vec<decltype(d16)>;
  const uint8_t* const tables = &kTripleTables.table[0][0];
  const auto low_byte = hn::Set(d16, 0xff);
  WideVec wide[kRows][kGroups][2];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      const uint16_t* const from = sums[r] + g * kGroupCols;
      wide[r][g][0] = begin == 0 ? hn::Zero(d16) : hn::Load(d16, from);
      wide[r][g][1] = begin == 0 ? hn::Zero(d16) : hn::Load(d16, from + kGroupCols / 2);
    }
  }
  for (int64_t s = begin; s < end;) {
    const int64_t last = std::min(end, s + kByteSteps);
    ByteVec narrow[kRows][kGroups];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) narrow[r][g] = hn::Zero(d);
    }
    for (; s < last; ++s) {
      ByteVec index[kGroups];
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) index[g] = LoadOnce(panel + g * panel_bytes + s * kGroupCols);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const auto table = hn::Load(d, tables + a[r * a_stride + s]);
#pragma GCC unroll 8
        for (int g = 0; g < kGroups; ++g) narrow[r][g] = hn::Add(narrow[r][g], LookUp(table, index[g]));
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
        const auto pairs = hn::BitCast(d16, narrow[r][g]);
        wide[r][g][0] = hn::Add(wide[r][g][0], hn::And(pairs, low_byte));
        wide[r][g][1] = hn::Add(wide[r][g][1], hn::ShiftRight<8>(pairs));
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      uint16_t* const to = sums[r] + g * kGroupCols;
      hn::Store(wide[r][g][0], d16, to);
      hn::Store(wide[r][g][1], d16, to + kGroupCols / 2);
    }
  }
}

using TripleTileFunction = void(const uint16_t*, int64_t, const uint8_t*, int64_t, int64_t, int64_t, WideSums*);
constexpr TripleTileFunction* kTripleTiles[kTripleRows][kTripleGroups] = {
    {TripleTile<1, 1>, TripleTile<1, 2>}, {TripleTile<2, 1>, TripleTile<2, 2>}, {TripleTile<3, 1>, TripleTile<3, 2>}};

// Multiplies all rows with one or two groups.
void MultiplyGroups(const TripleProblem& p, int64_t first, int64_t groups, WideSums* sums) {
  const int64_t steps = p.steps();
  const uint8_t* const panel = p.panels + first * p.panel_bytes();
  for (int64_t begin = 0; begin < steps; begin += kBlockSteps) {
    const int64_t end = std::min(steps, begin + kBlockSteps);
    for (int64_t row = 0; row < p.m; row += kTripleRows) {
      const int64_t rows = std::min(kTripleRows, p.m - row);
      kTripleTiles[rows - 1][groups - 1](p.a + row * steps, steps, panel, p.panel_bytes(), begin, end, sums + row);
    }
  }
  const hn::CappedTag<int32_t, 16> d32;
  const hn::Rebind<uint16_t, decltype(d32)> d16;
  for (int64_t g = 0; g < groups; ++g) {
    const GroupOutput output(p.out, p.terms.shift(), p.row_terms, first + g, p.column_terms + (first + g) * kGroupCols,
                             p.row_classes);
    for (int64_t row = 0; row < p.m; ++row) {
      const uint16_t* const wide = sums[row] + g * kGroupCols;
      alignas(64) int32_t dots[kGroupCols];
      for (int64_t j = 0; j < kGroupCols; j += 16) {
        hn::Store(hn::PromoteTo(d32, hn::Load(d16, wide + j)), d32, dots + j);
      }
      output.Write(row, dots);
    }
  }
}

void Multiply(const TripleProblem& p, uint16_t* sums) {
  for (int64_t first = 0; first < p.groups(); first += kTripleGroups) {
    MultiplyGroups(p, first, std::min(kTripleGroups, p.groups() - first), reinterpret_cast<WideSums*>(sums));
  }
}

#else

bool LooksUpTriples() { return false; }
int32_t ArrangeRow(const TripleProblem&, const uint64_t*, const uint64_t*, uint16_t*) {
  BITGRAD_CHECK(false);
  return 0;
}
void PackGroup(const TripleProblem&, int64_t, uint8_t*, uint8_t*, int32_t*) { BITGRAD_CHECK(false); }
void Multiply(const TripleProblem&, uint16_t*) { BITGRAD_CHECK(false); }

#endif  // HWY_TARGET == HWY_AVX3_DL

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(LooksUpTriples);
HWY_EXPORT(ArrangeRow);
HWY_EXPORT(PackGroup);
HWY_EXPORT(Multiply);

}  // namespace

bool CpuLooksUpTriples() { return HWY_DYNAMIC_DISPATCH(LooksUpTriples)(); }

int32_t ArrangeTripleRow(const TripleProblem& p, const uint64_t* plane0, const uint64_t* plane1, uint16_t* row) {
  return HWY_DYNAMIC_DISPATCH(ArrangeRow)(p, plane0, plane1, row);
}

void PackTripleGroup(const TripleProblem& p, int64_t group, uint8_t* scratch, uint8_t* panel, int32_t* column_terms) {
  HWY_DYNAMIC_DISPATCH(PackGroup)(p, group, scratch, panel, column_terms);
}

void MultiplyTriples(const TripleProblem& p, uint16_t* sums) { HWY_DYNAMIC_DISPATCH(Multiply)(p, sums); }

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
