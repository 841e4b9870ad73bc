// The arithmetic of products of gradients of two or three bits with packed signs: bit planes. Included through
// foreach_target.h only, by sign_gemm.cc, which begins with an overview.
//
// With p_q the bits of |a|, q = 0, 1, and s(1) = +1, s(0) = -1 the signs of `a` and of b,
//   sum a s(b) = sum |a| - 2 sum_q 2^q popcount(p_q & (sign of a ^ b)),
// which costs a VPTERNLOGQ, a VPOPCNTQ and an addition for each 512 products of a plane. -3 .. 3 has two planes, -1 ..
// 1 has one.
//
// Both operands have to lie along k. Codes become planes by comparisons of 64 bytes. The signs of b lie along its
// columns, so 64 x 64 bits of it at a time are transposed: masks make a byte of each eight bits that follow one another
// along k, and three interleavings make a word of eight such bytes.

#if defined(BITGRAD_OPS_CPU_SIGN_PLANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_SIGN_PLANES_INL_H_
#undef BITGRAD_OPS_CPU_SIGN_PLANES_INL_H_
#else
#define BITGRAD_OPS_CPU_SIGN_PLANES_INL_H_
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "bitgrad/ops/cpu/sign_problem.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/sign_arithmetic-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

#if HWY_TARGET <= HWY_AVX3_DL && HWY_ARCH_X86
// The number of planes of `a`, or 0 where int8 is faster: for larger codes, and for sums so short that what a tile
// costs besides its counts outweighs them (docs/performance.md).
HWY_INLINE int PlanesOf(const SignProblem& p) {
  if (p.max_code <= 1) return p.k() >= 64 ? 1 : 0;
  return p.max_code <= 3 && p.k() >= 256 ? 2 : 0;
}

// kPlanes: 1 for codes -1 .. 1, 2 for codes -3 .. 3.
template <int kPlanes>
struct PlaneArithmetic {
  using A = uint64_t;
  using B = uint64_t;
  using Sum = Ints;
  static constexpr int64_t kStep = 64;          // the bits of a word
  static constexpr int64_t kRow = 1 + kPlanes;  // the words of a row and step: signs (1 means +), planes
  static constexpr int64_t kColumn = 1;
  static constexpr int64_t kBlock = 4096;  // rows of b in a panel, which then takes 32 KiB

  explicit PlaneArithmetic(const SignProblem& p) : p(p) {}

  void Pack(int64_t row, int64_t rows, uint64_t* tile) const {
    for (int64_t r = 0; r < rows; ++r) {
      const int8_t* a = p.a_s8.row(row + r);
      uint64_t* out = tile + r * kRow;
      int32_t sum = 0;
      for (int64_t k = 0; k < p.k(); k += kStep, out += rows * kRow) {
        const __mmask64 inside = ~__mmask64{0} >> (kStep - std::min(kStep, p.k() - k));
        const __m512i x = _mm512_maskz_loadu_epi8(inside, a + k);
        out[0] = ~_mm512_movepi8_mask(x);
        for (int q = 0; q < kPlanes; ++q) {
          out[1 + q] = _mm512_test_epi8_mask(_mm512_abs_epi8(x), _mm512_set1_epi8(static_cast<char>(1 << q)));
          sum += std::popcount(out[1 + q]) << q;
        }
      }
      p.row_sums[row + r] = sum;
    }
  }

  void Expand(int64_t group, int64_t k0, int64_t count, uint64_t* panel) const {
    const int64_t steps = (count + kStep - 1) / kStep;
    for (int64_t s = 0; s < steps; ++s) {
      uint64_t rows[kStep];
      for (int64_t i = 0; i < kStep; ++i) {
        const int64_t k = s * kStep + i;
        rows[i] = k < count ? p.b.row(k0 + k)[group] : 0;
      }
      TransposeWords(rows, panel + s * kHalf, panel + (steps + s) * kHalf);
    }
  }

  template <int kRows>
  static HWY_INLINE void Sums(const uint64_t* a, const uint64_t* panel, int64_t steps, const float* c, int64_t stride,
                              Ints (&sum)[kRows][kVectors]) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      Vec count[kRows][kVectors];
      Count<kRows>(a, panel + half * steps * kHalf, steps, count);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors / 2; ++v) {
          const int at = half * kVectors / 2 + v;
          const Ints counts = LowHalves(count[r][2 * v], count[r][2 * v + 1]);
          sum[r][at] = c == nullptr ? counts : hn::Add(counts, LoadPartial(c + r * stride + at * kLanes));
        }
      }
    }
  }

  static HWY_INLINE Ints LoadPartial(const float* c) { return hn::BitCast(IntTag(), hn::LoadU(FloatTag(), c)); }
  static HWY_INLINE void StorePartial(Ints sum, float* c) { hn::StoreU(hn::BitCast(FloatTag(), sum), FloatTag(), c); }
  HWY_INLINE Floats Result(int64_t row, Ints sum) const {
    const Ints dot = hn::Sub(hn::Set(IntTag(), p.row_sums[row]), hn::Add(sum, sum));
    return hn::Mul(hn::ConvertTo(FloatTag(), dot), hn::Set(FloatTag(), p.scales[row]));
  }

  const SignProblem& p;

 private:
  using Vec = __m512i;
  static constexpr int64_t kHalf = 32;  // the columns of half a group

  // The column in each place of a vector of bytes, such that interleaving, which acts in blocks of 16 bytes, leaves
  // words in the order of their columns: 8q + 2b and the next one are in places 2q and 2q + 1 of block b.
  alignas(64) static constexpr std::array<uint8_t, 64> kPlaces = [] {
    std::array<uint8_t, 64> places = {};
    for (int j = 0; j < 64; ++j) places[j % 8 / 2 * 16 + j / 8 * 2 + j % 2] = static_cast<uint8_t>(j);
    return places;
  }();

  // count[r][v] = the counts of row r and columns 8v .. 8v + 7 of a half of the group, in 64-bit lanes. From the higher
  // plane to the lower one they are doubled (Horner's scheme).
  template <int kRows>
  static HWY_INLINE void Count(const uint64_t* a, const uint64_t* panel, int64_t steps, Vec (&count)[kRows][kVectors]) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) count[r][v] = _mm512_setzero_si512();
    }
#pragma GCC unroll 2
    for (int q = kPlanes - 1; q >= 0; --q) {
#pragma GCC unroll 8
      for (int r = 0; r < kRows && q < kPlanes - 1; ++r) {
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) count[r][v] = _mm512_add_epi64(count[r][v], count[r][v]);
      }
      for (int64_t s = 0; s < steps; ++s) {
        Vec b[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) b[v] = _mm512_load_si512(panel + s * kHalf + v * 8);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const uint64_t* const words = a + (s * kRows + r) * kRow;
          const Vec sign = _mm512_set1_epi64(static_cast<int64_t>(words[0]));
          const Vec plane = _mm512_set1_epi64(static_cast<int64_t>(words[1 + q]));
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) {
            const Vec differ = _mm512_ternarylogic_epi64(b[v], sign, plane, 0x28);  // (b ^ sign) & plane
            count[r][v] = _mm512_add_epi64(count[r][v], _mm512_popcnt_epi64(differ));
          }
        }
      }
    }
  }

  static HWY_INLINE Ints LowHalves(Vec x, Vec y) {
    const Vec even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return Ints{_mm512_permutex2var_epi32(x, even, y)};
  }

  // Bit i of word j of the result is bit j of rows[i]. Words 0 .. 31 go to `low`, 32 .. 63 to `high`.
  static HWY_INLINE void TransposeWords(const uint64_t (&rows)[kStep], uint64_t* low, uint64_t* high) {
    const Vec order = _mm512_load_si512(kPlaces.data());
    Vec x[8], y[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      // Byte j holds bits j of rows 8i .. 8i + 7.
      Vec bytes = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (int j = 0; j < 8; ++j) {
        bytes = _mm512_mask_add_epi8(bytes, rows[8 * i + j], bytes, _mm512_set1_epi8(static_cast<char>(1 << j)));
      }
      // A mask of ones, because g++ 12 says of the form without a mask that it reads an uninitialized value.
      x[i] = _mm512_maskz_permutexvar_epi8(~__mmask64{0}, order, bytes);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      y[i] = _mm512_unpacklo_epi8(x[2 * i], x[2 * i + 1]);
      y[4 + i] = _mm512_unpackhi_epi8(x[2 * i], x[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      x[i / 2 * 4 + i % 2] = _mm512_unpacklo_epi16(y[2 * i], y[2 * i + 1]);
      x[i / 2 * 4 + i % 2 + 2] = _mm512_unpackhi_epi16(y[2 * i], y[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      uint64_t* const out = (i < 2 ? low : high) + i % 2 * 16;
      const Ints even{x[2 * i]}, odd{x[2 * i + 1]};
      _mm512_store_si512(out, hn::InterleaveLower(IntTag(), even, odd).raw);
      _mm512_store_si512(out + 8, hn::InterleaveUpper(IntTag(), even, odd).raw);
    }
  }
};
#else
HWY_INLINE int PlanesOf(const SignProblem&) { return 0; }
template <int kPlanes>
using PlaneArithmetic = FloatArithmetic;
#endif

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_SIGN_PLANES_INL_H_
