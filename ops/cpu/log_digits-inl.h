// The digits of logarithmic codes (ops/kernels/coded_gemm.h) from what is stored of them, by lookup. Included through
// foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_LOG_DIGITS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_LOG_DIGITS_INL_H_
#undef BITGRAD_OPS_CPU_LOG_DIGITS_INL_H_
#else
#define BITGRAD_OPS_CPU_LOG_DIGITS_INL_H_
#endif

#include <cstdint>

#include "bitgrad/core/log_code.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The most patterns of a logarithmic code.
constexpr int kMostLogPatterns = 128;

// table[c] = digit `digit` of the code that is stored as c; 0 for the pattern that is no code.
HWY_INLINE void FillLogTable(int bits, int digit, uint8_t* table) {
  const int largest = LargestRank(bits);
  for (int c = 0; c <= 2 * largest; ++c) {
    int64_t rest = CodeOfRank(c - largest);
    for (int d = 0; d < digit; ++d) rest = (rest - static_cast<int8_t>(rest)) / 256;
    table[c] = static_cast<uint8_t>(rest);
  }
  for (int c = 2 * largest + 1; c < kMostLogPatterns; ++c) table[c] = 0;
}

// Turns stored codes of `bits` bits, which are the last `bytes` bytes of the block, into their digits, `bytes` bytes
// for each of them, digit 0 first. REQUIRES: block is aligned to vectors, and `bytes` a multiple of one.
HWY_INLINE void MakeLogDigits(int bits, int digits, int64_t bytes, uint8_t* block) {
  alignas(64) uint8_t table[kMostLogPatterns];
  const uint8_t* const stored = block + (digits - 1) * bytes;
  // The last digit takes the place of what is stored.
  for (int digit = 0; digit < digits; ++digit) {
    FillLogTable(bits, digit, table);
    uint8_t* const out = block + digit * bytes;
#if HWY_TARGET == HWY_SCALAR
    for (int64_t i = 0; i < bytes; ++i) out[i] = table[stored[i]];
#else
    const hn::CappedTag<uint8_t, 64> d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    // The lookup is in 16 bytes, and gives 0 for an index with its highest bit set: a part of the table that the index
    // is not in adds nothing.
    const auto part_of_index = hn::Set(d, 0x70), index_bits = hn::Set(d, 0x8f);
    for (int64_t i = 0; i < bytes; i += lanes) {
      const auto c = hn::Load(d, stored + i);
      auto byte = hn::Zero(d);
      for (int part = 0; part < 1 << bits; part += 16) {
        const auto index = hn::SaturatedAdd(hn::Xor(c, hn::Set(d, static_cast<uint8_t>(part))), part_of_index);
        byte = hn::Or(byte, hn::TableLookupBytesOr0(hn::LoadDup128(d, table + part), hn::And(index, index_bits)));
      }
      hn::Store(byte, d, out + i);
    }
#endif
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_LOG_DIGITS_INL_H_
