// The codes of the logarithmic encodings, 0 and +-2^e with e >= 0, by their ranks: their places in ascending order,
// counted from the place of 0, whether that is a code or not.
//
//   rank   .. -3  -2  -1   0   1   2   3  ..
//   code   .. -4  -2  -1   0   1   2   4  ..      sign(rank) 2^(|rank| - 1)
//
// Memory and files hold the place c of a code among those of k bits, from 0 on (LogCodes). What is stored ascends with
// the code, as in every other encoding, so thresholds and the largest of a window need not know which encoding it is.

#ifndef BITGRAD_CORE_LOG_CODE_H_
#define BITGRAD_CORE_LOG_CODE_H_

#include <bit>
#include <cstdint>

namespace bitgrad {

// REQUIRES: |rank| <= 63.
constexpr int64_t CodeOfRank(int rank) {
  return rank == 0 ? 0 : rank > 0 ? int64_t{1} << (rank - 1) : -(int64_t{1} << (-rank - 1));
}

// The same as a float, which it is exactly. REQUIRES: |rank| <= 128.
constexpr float FloatOfRank(int rank) {
  const int size = rank < 0 ? -rank : rank;
  const uint32_t power = size == 0 ? 0 : static_cast<uint32_t>(size + 126) << 23;
  return std::bit_cast<float>(power | (rank < 0 ? 0x80000000u : 0u));
}

// The inverse. A number that is no code has the rank of the code next to it on the side of 0.
constexpr int RankOfFloat(float code) {
  const uint32_t bits = std::bit_cast<uint32_t>(code);
  const int size = static_cast<int>(bits >> 23 & 0xffu) - 126;
  return size <= 0 ? 0 : bits >> 31 != 0 ? -size : size;
}

// The codes of k bits: ranks from -n to n. With 0 among them n = 2^(k-1) - 1, and one of the 2^k patterns is none;
// without it n = 2^(k-1), and all are.
class LogCodes {
 public:
  constexpr LogCodes(int bits, bool has_zero) : n_((1 << (bits - 1)) - (has_zero ? 1 : 0)), gap_(has_zero ? 0 : 1) {}

  constexpr int largest_rank() const { return n_; }
  constexpr int largest_stored() const { return 2 * n_ - gap_; }
  // The rank of what is stored, and back: rank 0, where it is no code, is stored as 1 is.
  constexpr int Rank(int stored) const { return stored - n_ + (stored >= n_ ? gap_ : 0); }
  constexpr int Stored(int rank) const { return rank + n_ - (rank > 0 ? gap_ : 0); }

 private:
  int n_;
  int gap_;  // how many ranks are missing in the middle
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_LOG_CODE_H_
