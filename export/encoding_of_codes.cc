#include "bitgrad/export/encoding_of_codes.h"

#include <algorithm>

namespace bitgrad {

Encoding EncodingOfCodes(absl::Span<const int32_t> codes) {
  constexpr int kMostBits = 8;
  int32_t least = 0, most = 0;
  bool all_odd = true;
  for (const int32_t q : codes) {
    least = std::min(least, q);
    most = std::max(most, q);
    all_odd &= (q & 1) != 0;
  }
  const int32_t size = std::max(-least, most);
  const auto bits_of = [](int32_t largest) {
    int bits = 1;
    while ((1 << bits) - 1 < largest) ++bits;
    return bits;
  };
  if (size > 255) return {};
  if (all_odd && size == 1) return {EncodingKind::kBinary, 1};
  if (all_odd) return {EncodingKind::kSymmetric, bits_of(size)};
  if (least >= 0) return {EncodingKind::kUnsigned, bits_of(most)};
  if (size <= 1) return {EncodingKind::kTernary, 2};
  const int bits = std::max(2, bits_of(std::max(most, -least - 1)) + 1);
  return bits > kMostBits ? Encoding{} : Encoding{EncodingKind::kTwosComplement, bits};
}

}  // namespace bitgrad
