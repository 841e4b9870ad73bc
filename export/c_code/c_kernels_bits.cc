// Popcounts and runs of bits. Bit j of an array of words is bit j % 32 of word j / 32.

#include "bitgrad/export/c_code/c_kernels.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace bitgrad {
namespace {

// The function of this name; `neon` is the operator's name on 4 words.
std::string Popcount(absl::string_view name, absl::string_view op, absl::string_view neon) {
  return absl::StrReplaceAll(R"c(
/* The number of ones of a OPERATOR b, n words. */
static int32_t NAME(const uint32_t *a, const uint32_t *b, int32_t n) {
  int32_t count = 0, i = 0;
#if defined(NET_COUNT_NEON)
  uint32x4_t counts = vdupq_n_u32(0);
  for (; i + 4 <= n; i += 4) {
    const uint8x16_t v = vreinterpretq_u8_u32(NEON(vld1q_u32(a + i), vld1q_u32(b + i)));
    counts = vpadalq_u16(counts, vpaddlq_u8(vcntq_u8(v)));
  }
  count = (int32_t)(vgetq_lane_u32(counts, 0) + vgetq_lane_u32(counts, 1) + vgetq_lane_u32(counts, 2) +
                    vgetq_lane_u32(counts, 3));
#elif defined(NET_COUNT_64)
  for (; i + 2 <= n; i += 2) {
    uint64_t v, w;
    __builtin_memcpy(&v, a + i, sizeof(v));
    __builtin_memcpy(&w, b + i, sizeof(w));
    count += __builtin_popcountll(v OPERATOR w);
  }
#endif
  while (i < n) {
    /* A byte of `bytes` grows by at most 8 with each word, so 31 words do not overflow it. */
    const int32_t end = n - i < 31 ? n : i + 31;
    uint32_t bytes = 0;
    for (; i < end; ++i) {
      uint32_t v = a[i] OPERATOR b[i];
      v -= (v >> 1) & 0x55555555u;
      v = (v & 0x33333333u) + ((v >> 2) & 0x33333333u);
      bytes += (v + (v >> 4)) & 0x0f0f0f0fu;
    }
    bytes = (bytes & 0x00ff00ffu) + ((bytes >> 8) & 0x00ff00ffu);
    count += (int32_t)((bytes + (bytes >> 16)) & 0xffffu);
  }
  return count;
}
)c",
                             {{"NAME", name}, {"OPERATOR", op}, {"NEON(", absl::StrCat(neon, "(")}});
}

}  // namespace

std::vector<CKernel> BitKernels() {
  return {
      {"popcount_paths", {}, R"c(
/* How bits are counted: 16 bytes at a time with NEON, 64 bits at a time where the processor has an instruction for it,
   otherwise in arithmetic that every processor has. Define NET_PORTABLE to have the last one everywhere. All count the
   same. */
#if defined(__ARM_NEON) && !defined(NET_PORTABLE)
#include <arm_neon.h>
#define NET_COUNT_NEON 1
#elif defined(__GNUC__) && defined(__POPCNT__) && !defined(NET_PORTABLE)
#define NET_COUNT_64 1
#endif
)c"},
      {"popcount_xor", {"popcount_paths"}, Popcount("net_popcount_xor", "^", "veorq_u32")},
      {"popcount_and", {"popcount_paths"}, Popcount("net_popcount_and", "&", "vandq_u32")},
      {"clear", {}, R"c(
static void net_clear(uint32_t *words, int32_t n) {
  int32_t i;
  for (i = 0; i < n; ++i) words[i] = 0;
}
)c"},
      {"or_bits", {}, R"c(
/* Ors n bits of `from`, from bit `from_at` on, to those of `to` from bit `to_at` on. */
static void net_or_bits(const uint32_t *from, int32_t from_at, int32_t n, uint32_t *to, int32_t to_at) {
  while (n > 0) {
    const int32_t count = n < 32 ? n : 32, low = from_at % 32, shift = to_at % 32;
    uint32_t bits = from[from_at / 32] >> low;
    if (low + count > 32) bits |= from[from_at / 32 + 1] << (32 - low);
    if (count < 32) bits &= ((uint32_t)1 << count) - 1;
    to[to_at / 32] |= bits << shift;
    if (shift + count > 32) to[to_at / 32 + 1] |= bits >> (32 - shift);
    from_at += count;
    to_at += count;
    n -= count;
  }
}
)c"},
      {"set_bits", {}, R"c(
/* Sets n bits of `to`, from bit `at` on. */
static void net_set_bits(int32_t n, uint32_t *to, int32_t at) {
  for (; n > 0; --n, ++at) to[at / 32] |= (uint32_t)1 << (at % 32);
}
)c"},
  };
}

}  // namespace bitgrad
