// The inner loop of products of bytes (int8_gemm.cc, winograd_conv.cc). Included through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_INT8_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_INT8_TILE_INL_H_
#undef BITGRAD_OPS_CPU_INT8_TILE_INL_H_
#else
#define BITGRAD_OPS_CPU_INT8_TILE_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "bitgrad/ops/cpu/coded_gemm.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using LaneTag = hn::CappedTag<int32_t, 16>;
using LaneVec = hn::Vec<LaneTag>;

// A tile has 24 accumulators where there are 32 vector registers, 12 where there are 16.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
constexpr int64_t kTileVectors = 4;
#else
constexpr int64_t kTileVectors = 2;
#endif

// Returns, per lane, sum + the four products of an unsigned byte of `a` and a signed byte of `b`.
HWY_INLINE LaneVec AddProducts(LaneVec sum, LaneVec a, LaneVec b) {
#if HWY_TARGET == HWY_AVX3_DL
  // Highway 1.0.3 checks for AVX512_VNNI at run time for this target, but does not enable it in the compiler, which
  // would therefore reject the intrinsic.
  asm("vpdpbusd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
  return sum;
#else
  const LaneTag d;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
  const hn::Repartition<int16_t, LaneTag> d16;
  const hn::RebindToUnsigned<decltype(d16)> du16;
  const auto b16 = hn::BitCast(d16, b);
  const auto a_even = hn::And(hn::BitCast(d16, a), hn::Set(d16, 0xFF));
  const auto a_odd = hn::BitCast(d16, hn::ShiftRight<8>(hn::BitCast(du16, a)));
  // VPMADDWD adds the two products of each 32-bit lane without reordering them.
  LaneVec unused = hn::Zero(d);
  sum = hn::ReorderWidenMulAccumulate(d, a_even, hn::ShiftRight<8>(hn::ShiftLeft<8>(b16)), sum, unused);
  return hn::ReorderWidenMulAccumulate(d, a_odd, hn::ShiftRight<8>(b16), sum, unused);
#else
  const auto byte = hn::Set(d, 0xFF);
  sum = hn::Add(sum, hn::Mul(hn::And(a, byte), hn::ShiftRight<24>(hn::ShiftLeft<24>(b))));
  sum = hn::Add(sum, hn::Mul(hn::And(hn::ShiftRight<8>(a), byte), hn::ShiftRight<24>(hn::ShiftLeft<16>(b))));
  sum = hn::Add(sum, hn::Mul(hn::And(hn::ShiftRight<16>(a), byte), hn::ShiftRight<24>(hn::ShiftLeft<8>(b))));
  return hn::Add(sum, hn::Mul(hn::And(hn::ShiftRight<24>(a), byte), hn::ShiftRight<24>(b)));
#endif
#endif
}

// sums[r * kGroupCols + c] = S of row r and column c of the panel, r < kRows.
template <int kRows>
HWY_NOINLINE void Int8Tile(const uint8_t* a, int64_t a_stride, const int32_t* panel, int64_t steps, int32_t* sums) {
  const LaneTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  LaneVec sum[kRows][kTileVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  for (int64_t s = 0; s < steps; ++s) {
    LaneVec b[kTileVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) b[v] = hn::Load(d, panel + (s * kTileVectors + v) * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      int32_t quad;
      std::memcpy(&quad, a + r * a_stride + 4 * s, sizeof(quad));
      const LaneVec x = hn::Set(d, quad);
#pragma GCC unroll 8
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = AddProducts(sum[r][v], x, b[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) hn::StoreU(sum[r][v], d, sums + r * kGroupCols + v * lanes);
  }
}

using Int8TileFunction = void(const uint8_t*, int64_t, const int32_t*, int64_t, int32_t*);
constexpr Int8TileFunction* kInt8Tiles[kTileRows] = {Int8Tile<1>, Int8Tile<2>, Int8Tile<3>,
                                                     Int8Tile<4>, Int8Tile<5>, Int8Tile<6>};

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_INT8_TILE_INL_H_
