// The digits of codes (ops/kernels/coded_gemm.h) from what is stored of them, by lookup. Included through
// foreach_target.h only.

#if defined(BITGRAD_OPS_CPU_CODE_DIGITS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_CODE_DIGITS_INL_H_
#undef BITGRAD_OPS_CPU_CODE_DIGITS_INL_H_
#else
#define BITGRAD_OPS_CPU_CODE_DIGITS_INL_H_
#endif

#include <cstdint>

#include "bitgrad/core/encoding.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// The bytes that the patterns of up to 8 bits stand for; 0 for a pattern that is no code.
struct DigitTable {
  alignas(64) uint8_t bytes[256] = {};
  int patterns;
};

// Signed digit `digit` of each code.
HWY_INLINE DigitTable SignedDigitTable(const Encoding& encoding, int digit) {
  DigitTable table = {.patterns = 1 << encoding.bits};
  for (int64_t c = 0; c <= encoding.largest_stored(); ++c) {
    int64_t rest = encoding.code(c);
    for (int d = 0; d < digit; ++d) rest = (rest - static_cast<int8_t>(rest)) / 256;
    table.bytes[c] = static_cast<uint8_t>(rest);
  }
  return table;
}

// Unsigned digit `digit` of the distance of each code to the least one.
HWY_INLINE DigitTable UnsignedDigitTable(const Encoding& encoding, int digit) {
  DigitTable table = {.patterns = 1 << encoding.bits};
  for (int64_t c = 0; c <= encoding.largest_stored(); ++c) {
    const auto distance = static_cast<uint64_t>(encoding.code(c) - encoding.least_code());
    table.bytes[c] = static_cast<uint8_t>(distance >> 8 * digit);
  }
  return table;
}

// out[i] = table[in[i]]. Both may be the same memory.
HWY_INLINE void LookUpDigits(const DigitTable& table, const uint8_t* in, int64_t count, uint8_t* out) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::CappedTag<uint8_t, 64> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  // The lookup is in 16 bytes, and gives 0 for an index with its highest bit set: a part of the table that the index is
  // not in adds nothing.
  const auto part_of_index = hn::Set(d, 0x70), index_bits = hn::Set(d, 0x8f);
  for (; i + lanes <= count; i += lanes) {
    const auto c = hn::LoadU(d, in + i);
    auto byte = hn::Zero(d);
    for (int part = 0; part < table.patterns; part += 16) {
      const auto index = hn::SaturatedAdd(hn::Xor(c, hn::Set(d, static_cast<uint8_t>(part))), part_of_index);
      byte = hn::Or(byte, hn::TableLookupBytesOr0(hn::LoadDup128(d, table.bytes + part), hn::And(index, index_bits)));
    }
    hn::StoreU(byte, d, out + i);
  }
#endif
  for (; i < count; ++i) out[i] = table.bytes[in[i]];
}

// Turns stored codes, which are the last `bytes` bytes of the block, into their signed digits, `bytes` bytes for each
// of them, digit 0 first.
HWY_INLINE void MakeSignedDigits(const Encoding& encoding, int digits, int64_t bytes, uint8_t* block) {
  // The last digit takes the place of what is stored.
  for (int digit = 0; digit < digits; ++digit) {
    LookUpDigits(SignedDigitTable(encoding, digit), block + (digits - 1) * bytes, bytes, block + digit * bytes);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_CODE_DIGITS_INL_H_
