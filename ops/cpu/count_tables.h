// Popcounts of four bits against four bits by table lookup, for two rows at once.

#ifndef BITGRAD_OPS_CPU_COUNT_TABLES_H_
#define BITGRAD_OPS_CPU_COUNT_TABLES_H_

#include <bit>
#include <cstdint>

namespace bitgrad::cpu {

// The 16 bytes of table x1 << 4 | x0 hold, for every y < 16, popcount(x0 ^ y) in the low half of byte y and popcount(x1
// ^ y) in its high half.
struct CountTables {
  static constexpr int kBytes = 16;

  constexpr CountTables() {
    for (unsigned x = 0; x < 256; ++x) {
      for (unsigned y = 0; y < 16; ++y) {
        bytes[x * kBytes + y] = static_cast<uint8_t>(std::popcount((x & 15) ^ y) | std::popcount((x >> 4) ^ y) << 4);
      }
    }
  }

  alignas(64) uint8_t bytes[256 * kBytes] = {};
};

inline constexpr CountTables kCountTables;

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_COUNT_TABLES_H_
