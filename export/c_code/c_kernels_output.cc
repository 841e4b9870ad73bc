// What becomes of the sums of one output pixel.

#include "bitgrad/export/c_code/c_kernels.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace bitgrad {
namespace {

constexpr char kThresholdBits[] = R"c(
/* Bit o of y, from bit `at` on, where all bits are 0: (sums[o] >= thresholds[o]) != flips[o]. */
static void net_threshold_bitsSUFFIX(
    int32_t n, const int32_t *thresholds, const uint32_t *flips, const SUM *sums, uint32_t *y, int32_t at) {
  int32_t o;
  for (o = 0; o < n; ++o, ++at) {
    const uint32_t reached = sums[o] >= thresholds[o] ? 1u : 0u;
    y[at / 32] |= (reached ^ (flips[o / 32] >> (o % 32) & 1)) << (at % 32);
  }
}
)c";

constexpr char kThresholdCodes[] = R"c(
/* y[o] = the number of the thresholds [levels, n] that sums[o] reaches, or levels minus it where flips[o]. Those of an
   output ascend, so the number is found by bisection. */
static void net_threshold_codesSUFFIX(
    int32_t n, int32_t levels, const int32_t *thresholds, const uint32_t *flips, const SUM *sums, uint8_t *y) {
  int32_t o;
  for (o = 0; o < n; ++o) {
    int32_t low = 0, high = levels;
    while (low < high) {
      const int32_t middle = (low + high) / 2;
      if (sums[o] >= thresholds[middle * n + o]) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    y[o] = (uint8_t)(flips[o / 32] >> (o % 32) & 1 ? levels - low : low);
  }
}
)c";

constexpr char kScale[] = R"c(
static void net_scaleSUFFIX(int32_t n, float scale, const SUM *sums, float *y) {
  int32_t o;
  for (o = 0; o < n; ++o) y[o] = (float)sums[o] * scale;
}
)c";

constexpr char kScaleEach[] = R"c(
static void net_scale_eachSUFFIX(int32_t n, const float *scales, const SUM *sums, float *y) {
  int32_t o;
  for (o = 0; o < n; ++o) y[o] = (float)sums[o] * scales[o];
}
)c";

// The kernel `name` for sums of this C type, which its name ends with.
CKernel ForSums(absl::string_view name, absl::string_view suffix, absl::string_view sum, absl::string_view text) {
  return {absl::StrCat(name, suffix), {}, absl::StrReplaceAll(text, {{"SUFFIX", suffix}, {"SUM", sum}})};
}

}  // namespace

std::vector<CKernel> OutputKernels() {
  return {
      ForSums("threshold_bits", "", "int32_t", kThresholdBits),
      ForSums("threshold_bits", "_64", "int64_t", kThresholdBits),
      ForSums("threshold_codes", "", "int32_t", kThresholdCodes),
      ForSums("threshold_codes", "_64", "int64_t", kThresholdCodes),
      ForSums("scale", "", "int32_t", kScale),
      ForSums("scale", "_64", "int64_t", kScale),
      ForSums("scale", "_floats", "float", kScale),
      ForSums("scale_each", "", "int32_t", kScaleEach),
      ForSums("scale_each", "_64", "int64_t", kScaleEach),
      ForSums("scale_each", "_floats", "float", kScaleEach),
      {"shift_right", {}, R"c(
/* v / 2^s rounded to nearest, halves up. For s <= 0 v * 2^-s. The second shift is one of a number that is not negative,
   because C leaves others to the compiler. */
static int32_t net_shift_right(int32_t v, int32_t s) {
  if (s <= 0) return v * ((int32_t)1 << -s);
  v += (int32_t)1 << (s - 1);
  return v >= 0 ? v >> s : ~(~v >> s);
}
)c"},
      {"stored_code", {"shift_right"}, R"c(
/* clamp(v / 2^s, least, most) - least. */
static uint8_t net_stored_code(int32_t v, int32_t s, int32_t least, int32_t most) {
  int32_t code;
  if (s < 0) v = v < -256 ? -256 : v > 256 ? 256 : v; /* What is larger is beyond every range, and may overflow. */
  code = net_shift_right(v, s);
  return (uint8_t)((code < least ? least : code > most ? most : code) - least);
}
)c"},
      {"add", {}, R"c(
static void net_add(int32_t n, const int32_t *bias, int32_t *sums) {
  int32_t o;
  for (o = 0; o < n; ++o) sums[o] += bias[o];
}
)c"},
      {"add_shortcut", {"shift_right"}, R"c(
/* sums[o] += (least + shortcut[o]) / 2^shift. */
static void net_add_shortcut(int32_t n, int32_t least, int32_t shift, const uint8_t *shortcut, int32_t *sums) {
  int32_t o;
  for (o = 0; o < n; ++o) sums[o] += net_shift_right(least + shortcut[o], shift);
}
)c"},
      {"requantize", {"stored_code"}, R"c(
/* y[o] = the stored code of clamp(sums[o] / 2^shift, least, most). */
static void net_requantize(int32_t n, int32_t shift, int32_t least, int32_t most, const int32_t *sums, uint8_t *y) {
  int32_t o;
  for (o = 0; o < n; ++o) y[o] = net_stored_code(sums[o], shift, least, most);
}
)c"},
      {"flip_codes", {}, R"c(
/* y[o] = levels - y[o] where flips[o]. */
static void net_flip_codes(int32_t n, int32_t levels, const uint32_t *flips, uint8_t *y) {
  int32_t o;
  for (o = 0; o < n; ++o) {
    if (flips[o / 32] >> (o % 32) & 1) y[o] = (uint8_t)(levels - y[o]);
  }
}
)c"},
      {"copy_sums", {}, R"c(
static void net_copy_sums(int32_t n, const int32_t *sums, int32_t *y) {
  int32_t o;
  for (o = 0; o < n; ++o) y[o] = sums[o];
}
)c"},
  };
}

}  // namespace bitgrad
