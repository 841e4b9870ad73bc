#include "bitgrad/export/one_tap_kernels.h"

#include <algorithm>
#include <utility>

namespace bitgrad {
namespace {

// 4 bits name a tap, or none.
constexpr int64_t kMostTaps = 15;
// Below, sums of integers are exact in float.
constexpr double kExactSums = 1 << 24;

struct Kept {
  std::vector<int64_t> codes;  // 0 of a kernel that is zero
  std::vector<float> floats;
  std::vector<uint8_t> taps;
};

// Looks at element (o, t, i) of the weight through value(o, t * channels + i). None where a kernel has two taps.
template <typename Number, typename ValueAt>
bool Keep(const ConvGeometry& g, const ValueAt& value, std::vector<Number>& numbers, std::vector<uint8_t>& taps) {
  const int64_t count = g.kernel_height * g.kernel_width;
  for (int64_t o = 0; o < g.filters; ++o) {
    for (int64_t i = 0; i < g.channels; ++i) {
      Number number = 0;
      int64_t tap = count;
      for (int64_t t = 0; t < count; ++t) {
        const Number w = value(o, t * g.channels + i);
        if (w == Number{0}) continue;
        if (tap != count) return false;
        number = w;
        tap = t;
      }
      numbers.push_back(number);
      taps.push_back(static_cast<uint8_t>(tap));
    }
  }
  return true;
}

// The encoding of the fewest bits that has these codes, those that are 0 left out.
Encoding Smallest(const Encoding& encoding, const std::vector<int64_t>& codes) {
  bool is_binary = true, is_odd = true;
  for (const int64_t code : codes) {
    if (code == 0) continue;
    is_binary &= code == 1 || code == -1;
    is_odd &= code % 2 != 0;
  }
  if (is_binary) return {EncodingKind::kBinary, 1};
  // Ones that attention has made two's complement of (ops/tap_attention.h): -2^k is no such code.
  if (is_odd && encoding.kind == EncodingKind::kTwosComplement && encoding.bits > 2) {
    return {EncodingKind::kSymmetric, encoding.bits - 1};
  }
  return encoding;
}

}  // namespace

absl::optional<OneTapKernels> OneTapKernelsOf(const program::Program& program, int i, const ConvGeometry& g) {
  const program::Value &x = program.operand(i, 0), &w = program.operand(i, 1);
  if ((w.op != "tap_attention" && w.op != "spread_over_taps") || w.as<program::Constant>() == nullptr) {
    return absl::nullopt;
  }
  if (g.groups != 1 || g.dilation_height != 1 || g.dilation_width != 1 ||
      g.kernel_height * g.kernel_width > kMostTaps || (g.padding != Padding::kZero && g.has_border())) {
    return absl::nullopt;
  }
  OneTapKernels kernels;
  if (w.coded == nullptr) {
    const absl::Span<const float> floats = w.floats.span<float>();
    const int64_t size = g.kernel_height * g.kernel_width * g.channels;
    const auto value = [&](int64_t o, int64_t j) { return floats[o * size + j]; };
    if (!Keep(g, value, kernels.floats, kernels.taps)) return absl::nullopt;
    return kernels;
  }
  if (w.coded->is_binary()) return absl::nullopt;  // no code is 0: kernels have all their taps
  const ConstMatrixView<uint8_t> stored = w.coded->codes.matrix<uint8_t>();
  std::vector<int64_t> codes;
  const auto value = [&](int64_t o, int64_t j) { return w.encoding.code(stored.row(o)[j]); };
  if (!Keep(g, value, codes, kernels.taps)) return absl::nullopt;
  kernels.encoding = Smallest(w.encoding, codes);
  if (x.is_coded() && static_cast<double>(x.encoding.max_code()) * static_cast<double>(w.encoding.max_code()) *
                              static_cast<double>(g.channels) >=
                          kExactSums) {
    return absl::nullopt;
  }
  for (const int64_t code : codes) {
    kernels.codes.push_back(code == 0 ? uint8_t{0} : static_cast<uint8_t>(kernels.encoding.stored(code)));
  }
  return kernels;
}

}  // namespace bitgrad
