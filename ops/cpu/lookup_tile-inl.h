// Tiles of the packed GEMM by table lookup, for instruction sets that shuffle bytes but cannot count the ones of words.
// Included through foreach_target.h only.
//
// K is processed four bits at a time. A panel of b holds one byte per four bits and column, and columns lie in the byte
// lanes of vectors. Four bits of two rows of `a` select one of 256 tables of 16 bytes (4 KiB, which stay in the
// first-level cache). One byte shuffle then looks up the counts of both rows for all columns of the vector: those of
// row 2i in the low half of a byte, those of row 2i + 1 in the high half. Three lookups add up to at most 12 in a half.
// Then the halves are separated and added to counters of one byte, which hold 63 lookups (252), and those in turn to
// counters of 16 bits.
//
// This takes ten instructions per 3 x 4 bits x 2 rows. A population count made of two lookups per byte would take eight
// per single word.

#if defined(BITGRAD_OPS_CPU_LOOKUP_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_LOOKUP_TILE_INL_H_
#undef BITGRAD_OPS_CPU_LOOKUP_TILE_INL_H_
#else
#define BITGRAD_OPS_CPU_LOOKUP_TILE_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/ops/cpu/count_tables.h"
#include "bitgrad/ops/cpu/packed_problem.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

struct LookupTiles {
  // Packing b pays from this many rows of `a` on.
  static int64_t MinRows(const PackedProblem&) { return 3; }

  // A row tile is uint16 [kTileRows / 2][Lookups]: for each pair of rows, the offsets of the tables of every four bits.
  static int64_t RowTileBytes(const PackedProblem& p) { return kTileRows * Lookups(p); }
  static void PackRowTile(const PackedProblem& p, int64_t tile, uint8_t* out) {
    for (int64_t pair = 0; pair < kTileRows / 2; ++pair) {
      PackRowPair(p, tile * kTileRows + 2 * pair, reinterpret_cast<uint16_t*>(out) + pair * Lookups(p));
    }
  }

  static int64_t GroupBytes(const PackedProblem& p) { return kGroup * Lookups(p); }
  static void PackGroup(const PackedProblem& p, int64_t group, uint8_t* panels) {
    for (int64_t col = 0; col < kGroup; col += kPanelCols) {
      uint8_t* panel = panels + col * Lookups(p);
      for (int64_t word = 0; word < p.words; word += 2) {
        for (int64_t c = 0; c < kPanelCols; c += 16) {
          PackColumns(p, group * kGroup + col + c, word, panel + word * 16 * kPanelCols + c);
        }
      }
      std::memset(panel + PackedLookups(p) * kPanelCols, 0, (Lookups(p) - PackedLookups(p)) * kPanelCols);
    }
  }

  // counts[r * kGroup + c] = popcount(row r of the tile ^ column c of the group).
  static HWY_INLINE void Count(const PackedProblem& p, int64_t tile, const uint8_t* row_tile, int64_t group,
                               uint8_t* panels, int32_t* counts) {
    const uint16_t* offsets = reinterpret_cast<const uint16_t*>(row_tile);
    const int64_t pairs = (p.tile_rows(tile) + 1) / 2;
    for (int64_t col = 0; col < p.group_cols(group); col += kPanelCols) {
      const uint8_t* panel = panels + col * Lookups(p);
      switch (pairs) {
        case 1: CountTile<1>(offsets, panel, Lookups(p), counts + col); break;
        case 2: CountTile<2>(offsets, panel, Lookups(p), counts + col); break;
        default: CountTile<3>(offsets, panel, Lookups(p), counts + col);
      }
    }
  }

 private:
  using ByteTag = hn::CappedTag<uint8_t, 64>;
  using ShortTag = hn::Repartition<uint16_t, ByteTag>;
  using Bytes16 = hn::FixedTag<uint8_t, 16>;
  using Shorts8 = hn::FixedTag<uint16_t, 8>;
  using Ints4 = hn::FixedTag<int32_t, 4>;

  static constexpr int kLanes = static_cast<int>(hn::MaxLanes(ByteTag()));
  static constexpr int kVectors = kLanes == 64 ? 1 : 2;
  static constexpr int64_t kPanelCols = kLanes * kVectors;
  static constexpr int64_t kPerStep = 3;                // lookups whose counts fit into half a byte
  static constexpr int64_t kPerByte = 63;               // lookups whose counts fit into a byte
  static constexpr int64_t kPerShort = 252 * kPerByte;  // lookups whose counts fit into 16 bits
  static_assert(4 * kPerStep < 16 && 4 * kPerByte < 256 && 4 * kPerShort < 65536 && kPerByte % kPerStep == 0);

  // A lookup processes four bits, and packing 16 bytes at a time. Lookups() rounds up to whole steps; the added lookups
  // compare 0 with 0.
  static HWY_INLINE int64_t PackedLookups(const PackedProblem& p) { return (p.words + 1) / 2 * 32; }
  static HWY_INLINE int64_t Lookups(const PackedProblem& p) {
    return (PackedLookups(p) + kPerStep - 1) / kPerStep * kPerStep;
  }

  // 16 bytes of a row of bits; zero after the last row. It may read the padding words at the end of a row, which are
  // zero.
  static HWY_INLINE hn::Vec<Bytes16> LoadBits(const ConstBitMatrixView& m, int64_t row, int64_t word) {
    const Bytes16 d;
    return row < m.rows ? hn::LoadU(d, reinterpret_cast<const uint8_t*>(m.row(row) + word)) : hn::Zero(d);
  }

  static void PackRowPair(const PackedProblem& p, int64_t row, uint16_t* offsets) {
    const Bytes16 d;
    const Shorts8 d16;
    const auto low = hn::Set(d, uint8_t{0x0F});
    for (int64_t word = 0; word < p.words; word += 2) {
      const auto x0 = LoadBits(p.a, row, word), x1 = LoadBits(p.a, row + 1, word);
      // The indices of the tables, x1 << 4 | x0, of the low and of the high halves of the bytes.
      const auto even = hn::Or(hn::And(x0, low), hn::ShiftLeft<4>(hn::And(x1, low)));
      const auto odd = hn::Or(hn::And(hn::ShiftRight<4>(x0), low), hn::AndNot(low, x1));
      const auto first = hn::InterleaveLower(d, even, odd), second = hn::InterleaveUpper(d, even, odd);
      const auto zero = hn::Zero(d);
      static_assert(CountTables::kBytes == 1 << 4);
      const auto store = [&](auto bytes, int64_t at) HWY_ATTR {
        hn::StoreU(hn::ShiftLeft<4>(hn::BitCast(d16, bytes)), d16, offsets + word * 16 + at);
      };
      store(hn::InterleaveLower(d, first, zero), 0);
      store(hn::InterleaveUpper(d, first, zero), 8);
      store(hn::InterleaveLower(d, second, zero), 16);
      store(hn::InterleaveUpper(d, second, zero), 24);
    }
    for (int64_t t = PackedLookups(p); t < Lookups(p); ++t) offsets[t] = 0;
  }

  // Transposes 16 bytes of 16 rows of b and splits the bytes into halves: the first 16 bytes of each of 32 lines of a
  // panel.
  static HWY_INLINE void PackColumns(const PackedProblem& p, int64_t row, int64_t word, uint8_t* lines) {
    const Bytes16 d;
    const auto low = hn::Set(d, uint8_t{0x0F});
    hn::Vec<Bytes16> x[16], y[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) x[i] = LoadBits(p.b, row + i, word);

      // One pass interleaves the first half of the vectors with the second, which moves the highest bit of an element's
      // index to the lowest place. After four passes row and byte have changed places.
#pragma GCC unroll 4
    for (int pass = 0; pass < 4; ++pass) {
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        y[2 * i] = hn::InterleaveLower(d, x[i], x[i + 8]);
        y[2 * i + 1] = hn::InterleaveUpper(d, x[i], x[i + 8]);
      }
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) x[i] = y[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      hn::StoreU(hn::And(x[i], low), d, lines + 2 * i * kPanelCols);
      hn::StoreU(hn::And(hn::ShiftRight<4>(x[i]), low), d, lines + (2 * i + 1) * kPanelCols);
    }
  }

  // counts[r * kGroup + c] = popcount(row r ^ column c of the panel), r < 2 * kPairs.
  template <int kPairs>
  static HWY_NOINLINE void CountTile(const uint16_t* offsets, const uint8_t* panel, int64_t lookups, int32_t* counts) {
    int64_t t = 0;
    do {
      const int64_t end = std::min(lookups, t + kPerShort);
      // Even columns in [0], odd columns in [1].
      alignas(64) uint16_t shorts[2 * kPairs][kVectors][2][kLanes / 2] = {};
      for (int64_t begin = t; begin < end; begin += kPerByte) {
        CountBytes<kPairs>(offsets + begin, lookups, panel + begin * kPanelCols, std::min(end - begin, kPerByte),
                           shorts);
      }
      for (int r = 0; r < 2 * kPairs; ++r) {
        for (int v = 0; v < kVectors; ++v) {
          StoreCounts(shorts[r][v][0], shorts[r][v][1], t > 0, counts + r * kGroup + v * kLanes);
        }
      }
      t = end;
    } while (t < lookups);
  }

  // Adds the counts of `lookups` lookups to `shorts`. REQUIRES: at most kPerByte, a multiple of kPerStep.
  template <int kPairs>
  static HWY_INLINE void CountBytes(const uint16_t* offsets, int64_t stride, const uint8_t* panel, int64_t lookups,
                                    uint16_t (*shorts)[kVectors][2][kLanes / 2]) {
    const ByteTag d;
    const ShortTag d16;
    const auto low = hn::Set(d, uint8_t{0x0F});
    hn::Vec<ByteTag> sum[2 * kPairs][kVectors];
#pragma GCC unroll 8
    for (int r = 0; r < 2 * kPairs; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
    }
    const uint8_t* const end = panel + lookups * kPanelCols;
    for (; panel < end; panel += kPerStep * kPanelCols, offsets += kPerStep) {
#pragma GCC unroll 8
      for (int pair = 0; pair < kPairs; ++pair) {
        hn::Vec<ByteTag> both[kVectors];
#pragma GCC unroll 3
        for (int step = 0; step < kPerStep; ++step) {
          const auto table = hn::LoadDup128(d, kCountTables.bytes + offsets[pair * stride + step]);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) {
            const auto count = hn::TableLookupBytes(table, hn::Load(d, panel + step * kPanelCols + v * kLanes));
            both[v] = step == 0 ? count : hn::Add(both[v], count);
          }
        }
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) {
          const auto high = hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(d16, both[v])));
          sum[2 * pair][v] = hn::Add(sum[2 * pair][v], hn::And(both[v], low));
          sum[2 * pair + 1][v] = hn::Add(sum[2 * pair + 1][v], hn::And(high, low));
        }
      }
    }
    const auto low16 = hn::Set(d16, uint16_t{0x00FF});
#pragma GCC unroll 8
    for (int r = 0; r < 2 * kPairs; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const auto pair = hn::BitCast(d16, sum[r][v]);
        uint16_t* even = shorts[r][v][0];
        uint16_t* odd = shorts[r][v][1];
        hn::Store(hn::Add(hn::Load(d16, even), hn::And(pair, low16)), d16, even);
        hn::Store(hn::Add(hn::Load(d16, odd), hn::ShiftRight<8>(pair)), d16, odd);
      }
    }
  }

  // counts[2i] = even[i], counts[2i + 1] = odd[i], i < kLanes / 2; where `accumulate`, they are added to `counts`.
  static HWY_INLINE void StoreCounts(const uint16_t* even, const uint16_t* odd, bool accumulate, int32_t* counts) {
    const Shorts8 d16;
    const Ints4 d32;
    const auto zero = hn::Zero(d16);
    const auto store = [&](auto shorts, int32_t* out) HWY_ATTR {
      const auto value = hn::BitCast(d32, shorts);
      hn::Store(accumulate ? hn::Add(hn::Load(d32, out), value) : value, d32, out);
    };
    for (int i = 0; i < kLanes / 2; i += 8) {
      const auto e = hn::Load(d16, even + i), o = hn::Load(d16, odd + i);
      const auto first = hn::InterleaveLower(d16, e, o), second = hn::InterleaveUpper(d16, e, o);
      store(hn::InterleaveLower(d16, first, zero), counts + 2 * i);
      store(hn::InterleaveUpper(d16, first, zero), counts + 2 * i + 4);
      store(hn::InterleaveLower(d16, second, zero), counts + 2 * i + 8);
      store(hn::InterleaveUpper(d16, second, zero), counts + 2 * i + 12);
    }
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_LOOKUP_TILE_INL_H_
