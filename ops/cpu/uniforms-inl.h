// Uniform(rng, i) of core/rng.h for ranges of elements, computed for a whole vector of Philox blocks at once. Included
// through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_UNIFORMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_UNIFORMS_INL_H_
#undef BITGRAD_OPS_CPU_UNIFORMS_INL_H_
#else
#define BITGRAD_OPS_CPU_UNIFORMS_INL_H_
#endif

#include <cstdint>

#include "bitgrad/core/rng.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR

using BlockTag = hn::CappedTag<uint64_t, 8>;  // one Philox block per lane

// u[4 l .. 4 l + 3] = the uniform numbers of block `block` + l, for all lanes l. This is Philox4x32-10 with each of its
// four words in the low half of 64-bit lanes; the high halves may hold anything.
HWY_INLINE void UniformBlocks(const RngStream& rng, uint64_t block, float* u) {
  const BlockTag d;
  const hn::Repartition<uint32_t, BlockTag> d32;
  const hn::RebindToFloat<decltype(d32)> df;
  const hn::RebindToSigned<decltype(d32)> di;
  auto c0 = hn::Iota(d, block);
  auto c1 = hn::Set(d, rng.step);
  auto c2 = hn::Set(d, rng.stream);
  auto c3 = hn::Set(d, static_cast<uint64_t>(rng.purpose));
  uint32_t k0 = static_cast<uint32_t>(rng.seed);
  uint32_t k1 = static_cast<uint32_t>(rng.seed >> 32);
  const auto m0 = hn::BitCast(d32, hn::Set(d, PHILOX_M4x32_0));
  const auto m1 = hn::BitCast(d32, hn::Set(d, PHILOX_M4x32_1));
  for (int round = 0; round < 10; ++round) {
    const auto p0 = hn::MulEven(hn::BitCast(d32, c0), m0);
    const auto p1 = hn::MulEven(hn::BitCast(d32, c2), m1);
    c0 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p1), c1), hn::Set(d, k0));
    c1 = p1;
    c2 = hn::Xor(hn::Xor(hn::ShiftRight<32>(p0), c3), hn::Set(d, k1));
    c3 = p0;
    k0 += PHILOX_W32_0;
    k1 += PHILOX_W32_1;
  }
  const auto low = hn::Set(d, 0xFFFFFFFFu);
  const auto pair = [&](auto even, auto odd) HWY_ATTR {
    const auto words = hn::BitCast(d32, hn::Or(hn::And(even, low), hn::ShiftLeft<32>(odd)));
    // As ToUniform() does: 24 bits are exact in a float.
    const auto top = hn::ConvertTo(df, hn::BitCast(di, hn::ShiftRight<8>(words)));
    return hn::BitCast(d, hn::Mul(top, hn::Set(df, 0x1p-24f)));
  };
  hn::StoreInterleaved2(pair(c0, c1), pair(c2, c3), d, reinterpret_cast<uint64_t*>(u));
}

#endif  // HWY_TARGET != HWY_SCALAR

// A buffer for the uniform numbers of up to kCount consecutive elements.
class Uniforms {
 public:
  static constexpr int64_t kCount = 1024;

  // Returns u with u[i] = Uniform(rng, first + i) for i < count. Each block of four elements is computed once; the
  // first block may begin before `first`, and the last may end after first + count. REQUIRES: count <= kCount.
  HWY_INLINE const float* Fill(const RngStream& rng, uint64_t first, int64_t count) {
    const uint64_t first_block = first / 4;
    const int64_t blocks = static_cast<int64_t>((first + count + 3) / 4 - first_block);
    int64_t b = 0;
#if HWY_TARGET != HWY_SCALAR
    constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(BlockTag()));
    static_assert(kRoom % (4 * kLanes) == 0);
    for (; b < blocks; b += kLanes) UniformBlocks(rng, first_block + b, values_ + 4 * b);
#endif
    for (; b < blocks; ++b) {
      const RngBlock block = RandomBlock(rng, first_block + b);
      for (int k = 0; k < 4; ++k) values_[4 * b + k] = ToUniform(block.word[k]);
    }
    return values_ + first % 4;
  }

 private:
  static constexpr int64_t kRoom = kCount + 32;  // one block more than kCount, rounded up to a whole vector of blocks
  alignas(64) float values_[kRoom];
};

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_UNIFORMS_INL_H_
