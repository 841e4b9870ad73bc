// The two arithmetics of products with packed signs, floats and int8: how elements lie in tiles and panels, and how
// they are multiplied. Included through foreach_target.h only, by sign_gemm.cc, which begins with an overview.

#if defined(BITGRAD_OPS_CPU_SIGN_ARITHMETIC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_SIGN_ARITHMETIC_INL_H_
#undef BITGRAD_OPS_CPU_SIGN_ARITHMETIC_INL_H_
#else
#define BITGRAD_OPS_CPU_SIGN_ARITHMETIC_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bitgrad/ops/cpu/sign_problem.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET <= HWY_AVX3_DL && HWY_ARCH_X86
// Every CPU of this target has AVX512_VNNI (Highway checks for it), but Highway 1.0.3 does not enable it in the
// compiler.
#pragma GCC target("avx512vnni")
#endif
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

using Floats = hn::Vec<FloatTag>;
using IntTag = hn::RebindToSigned<FloatTag>;
using Ints = hn::Vec<IntTag>;

constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(FloatTag()));
constexpr int kVectors = kLanes >= 16 ? 4 : 2;  // vectors of a tile's columns: as many as 32 registers allow, or 16
constexpr int64_t kWidth = kVectors * kLanes;
static_assert(kSignGroup % kWidth == 0);

// An arithmetic defines how elements lie in tiles of `a` and in panels of b, and how they are multiplied. A step is
// kStep values of k; for each step a row of `a` has kRow elements, and a column of b has kColumn:
//   tiles[tile][step][row][kRow],   panel[part of the group][step][column][kColumn]

// The sums of a tile over `steps` steps, on top of the partial sums at c, or from zero where c is null.
template <typename T, int kRows>
HWY_INLINE void MultiplySteps(const typename T::A* a, const typename T::B* panel, int64_t steps, const float* c,
                              int64_t stride, typename T::Sum (&sum)[kRows][kVectors]) {
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = c == nullptr ? T::Zero() : T::LoadPartial(c + r * stride + v * kLanes);
    }
  }
  for (int64_t s = 0; s < steps; ++s) {
    decltype(T::Load(panel)) b[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) b[v] = T::Load(panel + (s * kVectors + v) * kLanes * T::kColumn);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const auto x = T::Broadcast(a + (s * kRows + r) * T::kRow);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) sum[r][v] = T::MultiplyAdd(x, b[v], sum[r][v]);
    }
  }
}

struct FloatArithmetic {
  using A = float;
  using B = float;
  using Sum = Floats;
  static constexpr int64_t kStep = 1, kRow = 1, kColumn = 1;
  static constexpr int64_t kBlock = 128;  // rows of b (values of k) in a panel, which then takes 32 KiB

  explicit FloatArithmetic(const SignProblem& p) : p(p) {}

  // Packs rows [row, row + rows) of `a` into a tile.
  void Pack(int64_t row, int64_t rows, float* tile) const {
    if (p.transpose_a) {
      for (int64_t k = 0; k < p.k(); ++k, tile += rows) std::copy_n(p.a_f32.row(k) + row, rows, tile);
      return;
    }
    for (int64_t r = 0; r < rows; ++r) {
      const bool is_f32 = p.a_f32.data != nullptr;
      const float* f32 = is_f32 ? p.a_f32.row(row + r) : nullptr;
      const int8_t* s8 = is_f32 ? nullptr : p.a_s8.row(row + r);
      for (int64_t k = 0; k < p.k(); ++k) tile[k * rows + r] = is_f32 ? f32[k] : static_cast<float>(s8[k]);
    }
  }

  // Expands rows k0 .. k0 + count - 1 of a group of b into a panel.
  void Expand(int64_t group, int64_t k0, int64_t count, float* panel) const {
    for (int64_t k = 0; k < count; ++k) {
      ForEachMask(FloatTag(), p.b.row(k0 + k)[group], [&](auto d, auto mask, size_t bit) HWY_ATTR {
        const int64_t column = static_cast<int64_t>(bit);
        float* out = panel + (column / kWidth * count + k) * kWidth + column % kWidth;
        hn::Store(hn::IfThenElse(mask, hn::Set(d, 1.0f), hn::Set(d, -1.0f)), d, out);
      });
    }
  }

  template <int kRows>
  static HWY_INLINE void Sums(const float* a, const float* panel, int64_t steps, const float* c, int64_t stride,
                              Floats (&sum)[kRows][kVectors]) {
    MultiplySteps<FloatArithmetic>(a, panel, steps, c, stride, sum);
  }

  static HWY_INLINE Floats Zero() { return hn::Zero(FloatTag()); }
  static HWY_INLINE Floats Load(const float* panel) { return hn::Load(FloatTag(), panel); }
  static HWY_INLINE Floats Broadcast(const float* a) { return hn::Set(FloatTag(), *a); }
  static HWY_INLINE Floats MultiplyAdd(Floats a, Floats b, Floats sum) { return hn::MulAdd(a, b, sum); }
  static HWY_INLINE Floats LoadPartial(const float* c) { return hn::LoadU(FloatTag(), c); }
  static HWY_INLINE void StorePartial(Floats sum, float* c) { hn::StoreU(sum, FloatTag(), c); }
  HWY_INLINE Floats Result(int64_t row, Floats sum) const {
    return hn::Mul(sum, hn::Set(FloatTag(), p.scales != nullptr ? p.scales[row] : p.scale));
  }

  const SignProblem& p;
};

#if HWY_TARGET <= HWY_AVX3_DL && HWY_ARCH_X86
struct Int8Arithmetic {
  using A = int8_t;
  using B = uint8_t;
  using Sum = Ints;
  static constexpr int64_t kStep = 4, kRow = 4, kColumn = 4;
  static constexpr int64_t kBlock = 512;  // rows of b in a panel, which then takes 32 KiB

  explicit Int8Arithmetic(const SignProblem& p) : p(p) {}

  void Pack(int64_t row, int64_t rows, int8_t* tile) const {
    const int64_t whole = p.k() / kStep * kStep;
    for (int64_t r = 0; r < rows; ++r) {
      const int8_t* a = p.a_s8.row(row + r);
      int8_t* out = tile + r * kStep;
      for (int64_t k = 0; k < whole; k += kStep) std::memcpy(out + k * rows, a + k, kStep);
      if (whole < p.k()) {
        std::memset(out + whole * rows, 0, kStep);
        std::memcpy(out + whole * rows, a + whole, p.k() - whole);
      }
      int32_t sum = 0;
      for (int64_t k = 0; k < p.k(); ++k) sum += a[k];
      p.row_sums[row + r] = sum;
    }
  }

  void Expand(int64_t group, int64_t k0, int64_t count, uint8_t* panel) const {
    for (int64_t k = 0; k < count; k += kStep) {
      uint64_t word[kStep] = {};
      for (int64_t s = 0; s < std::min(kStep, count - k); ++s) word[s] = p.b.row(k0 + k + s)[group];
      for (int64_t j = 0; j < kSignGroup; j += kLanes) {
        const auto mask = [&](int s) { return static_cast<__mmask16>(word[s] >> j); };
        __m512i v = _mm512_maskz_set1_epi32(mask(0), 1);
        v = _mm512_mask_or_epi32(v, mask(1), v, _mm512_set1_epi32(1 << 8));
        v = _mm512_mask_or_epi32(v, mask(2), v, _mm512_set1_epi32(1 << 16));
        v = _mm512_mask_or_epi32(v, mask(3), v, _mm512_set1_epi32(1 << 24));
        hn::Store(Ints{v}, IntTag(), reinterpret_cast<int32_t*>(panel + k * kSignGroup + j * kStep));
      }
    }
  }

  template <int kRows>
  static HWY_INLINE void Sums(const int8_t* a, const uint8_t* panel, int64_t steps, const float* c, int64_t stride,
                              Ints (&sum)[kRows][kVectors]) {
    MultiplySteps<Int8Arithmetic>(a, panel, steps, c, stride, sum);
  }

  static HWY_INLINE Ints Zero() { return hn::Zero(IntTag()); }
  static HWY_INLINE Ints Load(const uint8_t* panel) {
    return hn::Load(IntTag(), reinterpret_cast<const int32_t*>(panel));
  }
  static HWY_INLINE Ints Broadcast(const int8_t* a) {
    int32_t four;
    std::memcpy(&four, a, sizeof(four));
    return hn::Set(IntTag(), four);
  }
  static HWY_INLINE Ints MultiplyAdd(Ints a, Ints b, Ints sum) {
    return Ints{_mm512_dpbusd_epi32(sum.raw, b.raw, a.raw)};
  }
  static HWY_INLINE Ints LoadPartial(const float* c) { return hn::BitCast(IntTag(), hn::LoadU(FloatTag(), c)); }
  static HWY_INLINE void StorePartial(Ints sum, float* c) { hn::StoreU(hn::BitCast(FloatTag(), sum), FloatTag(), c); }
  HWY_INLINE Floats Result(int64_t row, Ints sum) const {
    const Ints dot = hn::Sub(hn::Add(sum, sum), hn::Set(IntTag(), p.row_sums[row]));
    return hn::Mul(hn::ConvertTo(FloatTag(), dot), hn::Set(FloatTag(), p.scales[row]));
  }

  const SignProblem& p;
};
#else
using Int8Arithmetic = FloatArithmetic;
#endif

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_SIGN_ARITHMETIC_INL_H_
