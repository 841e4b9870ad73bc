// Conversions between 64-bit words of bits and vectors, per instruction set. Included through foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_BITS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_BITS_INL_H_
#undef BITGRAD_OPS_CPU_BITS_INL_H_
#else
#define BITGRAD_OPS_CPU_BITS_INL_H_
#endif

#include <bit>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

static_assert(std::endian::native == std::endian::little,
              "bit j of a word is bit j % 8 of byte j / 8: true where integers are little-endian");

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Sets all 64 bits of *word: mask_at(d, k) returns the mask with bits k .. k + Lanes(d) - 1.
template <class D, class MaskAt>
HWY_INLINE void StoreMaskWord(D d, uint64_t* word, const MaskAt& mask_at) {
  uint8_t* bytes = reinterpret_cast<uint8_t*>(word);
  const size_t lanes = hn::Lanes(d);
  if (lanes >= 8) {
    // Written in place: a narrow store to a temporary and a wide load of the same bytes would stall.
    for (size_t k = 0; k < 64; k += lanes) hn::StoreMaskBits(d, mask_at(d, k), bytes + k / 8);
    return;
  }
  for (size_t k = 0; k < 64; k += 8) {
    uint8_t byte = 0;
    for (size_t l = 0; l < 8; l += lanes) {
      uint8_t part[8];
      hn::StoreMaskBits(d, mask_at(d, k + l), part);
      byte = static_cast<uint8_t>(byte | part[0] << l);
    }
    bytes[k / 8] = byte;
  }
}

// Calls body(d, mask, k) for all 64 bits of `word`, Lanes(d) at a time: the mask holds bits k .. k + Lanes(d) - 1.
template <class D, class Body>
HWY_INLINE void ForEachMask(D d, uint64_t word, const Body& body) {
  const size_t lanes = hn::Lanes(d);
  uint8_t bytes[16] = {};  // LoadMaskBits may read 8 bytes from any of the first 8
  std::memcpy(bytes, &word, sizeof(word));
  if (lanes >= 8) {
    for (size_t k = 0; k < 64; k += lanes) body(d, hn::LoadMaskBits(d, bytes + k / 8), k);
    return;
  }
  for (size_t k = 0; k < 64; k += lanes) {
    const uint8_t part[8] = {static_cast<uint8_t>(bytes[k / 8] >> k % 8)};
    body(d, hn::LoadMaskBits(d, part), k);
  }
}

using FloatTag = hn::CappedTag<float, 64>;
using ByteTag = hn::CappedTag<uint8_t, 64>;

// dx[k] = bit k of `word` ? dy[k] : 0, for k < 64. dx may be dy.
HWY_INLINE void MaskWord(uint64_t word, const float* dy, float* dx) {
  ForEachMask(FloatTag(), word, [dy, dx](auto d, auto mask, size_t k) HWY_ATTR {
    hn::StoreU(hn::IfThenElseZero(mask, hn::LoadU(d, dy + k)), d, dx + k);
  });
}

// y[k] = bit k of `word` ? +1 : -1, for k < 64.
HWY_INLINE void UnpackSignWord(uint64_t word, float* y) {
  ForEachMask(FloatTag(), word, [y](auto d, auto mask, size_t k) HWY_ATTR {
    hn::StoreU(hn::IfThenElse(mask, hn::Set(d, 1.0f), hn::Set(d, -1.0f)), d, y + k);
  });
}

// The same for the first `count` bits.
HWY_INLINE void UnpackSignSegment(const uint64_t* bits, int64_t count, float* y) {
  int64_t w = 0;
  for (; (w + 1) * 64 <= count; ++w) UnpackSignWord(bits[w], y + w * 64);
  if (w * 64 < count) {
    float rest[64];
    UnpackSignWord(bits[w], rest);
    std::memcpy(y + w * 64, rest, (count - w * 64) * sizeof(float));
  }
}

// Bit k of *bits = x[k] >= 0, for k < 64.
HWY_INLINE void PackSignWord(const float* x, uint64_t* bits) {
  StoreMaskWord(FloatTag(), bits, [x](auto d, size_t k) HWY_ATTR { return hn::Ge(hn::LoadU(d, x + k), hn::Zero(d)); });
}

// Bit k of *window = |x[k]| <= 1, for k < 64.
HWY_INLINE void PackWindowWord(const float* x, uint64_t* window) {
  StoreMaskWord(FloatTag(), window,
                [x](auto d, size_t k) HWY_ATTR { return hn::Le(hn::Abs(hn::LoadU(d, x + k)), hn::Set(d, 1.0f)); });
}

// Bit j of *word = bit `bit` of bytes[j], for j < 64.
HWY_INLINE void PackByteWord(const uint8_t* bytes, int bit, uint64_t* word) {
  const uint8_t value = static_cast<uint8_t>(1 << bit);
  StoreMaskWord(ByteTag(), word, [bytes, value](auto d, size_t k) HWY_ATTR {
    return hn::TestBit(hn::LoadU(d, bytes + k), hn::Set(d, value));
  });
}

// Calls pack_word(values, word) for every 64 of x[0, count), with the last word's values filled up with `fill`. Zeroes
// the rest of the `words` words of `out`.
template <typename PackWord>
HWY_INLINE void PackSegment(const float* x, int64_t count, int64_t words, float fill, uint64_t* out,
                            const PackWord& pack_word) {
  int64_t w = 0;
  for (; (w + 1) * 64 <= count; ++w) pack_word(x + w * 64, out + w);
  if (w * 64 < count) {
    float rest[64];
    for (int64_t k = 0; k < 64; ++k) rest[k] = w * 64 + k < count ? x[w * 64 + k] : fill;
    pack_word(rest, out + w++);
  }
  for (; w < words; ++w) out[w] = 0;
}

HWY_INLINE void PackSignSegment(const float* x, int64_t count, int64_t words, uint64_t* bits) {
  PackSegment(x, count, words, -1.0f, bits, [](const float* v, uint64_t* word) HWY_ATTR { PackSignWord(v, word); });
}

HWY_INLINE void PackWindowSegment(const float* x, int64_t count, int64_t words, uint64_t* window) {
  PackSegment(x, count, words, 2.0f, window, [](const float* v, uint64_t* word) HWY_ATTR { PackWindowWord(v, word); });
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_BITS_INL_H_
