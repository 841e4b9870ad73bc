// wgmma.h for the emulator. Products read shared memory when they are waited for, so that a kernel that releases a
// buffer too early multiplies garbage.

#ifndef BITGRAD_OPS_CUDA_EMULATOR_EMULATED_WGMMA_H_
#define BITGRAD_OPS_CUDA_EMULATOR_EMULATED_WGMMA_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/emulator/emulated_device.h"
#include "bitgrad/ops/cuda/emulator/emulated_tensor_map.h"

#define BITGRAD_HAS_WGMMA 1

namespace bitgrad::cuda_emulated {

// ---- Barriers. An EmulatedBarrier holds the number of arrivals that a phase needs, the arrivals and the announced
// bytes that are still missing, and the number of phases that have ended.
struct EmulatedBarrier {
  uint8_t needed, missing;
  uint16_t phases;
  int32_t bytes;
};
static_assert(sizeof(EmulatedBarrier) == sizeof(uint64_t));
inline EmulatedBarrier& AsEmulated(uint64_t* barrier) { return *reinterpret_cast<EmulatedBarrier*>(barrier); }
inline void EndPhase(EmulatedBarrier& barrier) {
  if (barrier.missing > 0 || barrier.bytes != 0) return;
  ++barrier.phases;
  barrier.missing = barrier.needed;
}
inline void InitBarrier(uint64_t* barrier, int arrivals) {
  AsEmulated(barrier) = {static_cast<uint8_t>(arrivals), static_cast<uint8_t>(arrivals), 0, 0};
}
inline void FenceBarriers() {}
inline void ArriveAndExpect(uint64_t* barrier, int bytes) {
  EmulatedBarrier& b = AsEmulated(barrier);
  BITGRAD_CHECK(b.missing > 0);
  b.bytes += bytes;
  --b.missing;
  EndPhase(b);
}
inline void Arrive(uint64_t* barrier) { ArriveAndExpect(barrier, 0); }
inline void WaitForPhase(uint64_t* barrier, int parity) {
  // The current phase has the parity of the number of phases that have ended.
  while ((AsEmulated(barrier).phases & 1) == parity) cuda_emulator::Yield();
}

// ---- Copies
inline uintptr_t Swizzled(uintptr_t address) { return address ^ (address >> 7 & 7) << 4; }
inline void CopyTile(void* shared, const TensorMap* map, int x, int y, uint64_t* barrier) {
  BITGRAD_CHECK(reinterpret_cast<uintptr_t>(shared) % 1024 == 0 && x % 16 == 0);
  for (int r = 0; r < map->box_rows; ++r) {
    for (int byte = 0; byte < 128; byte += 16) {
      // The length of a row is a multiple of 16 bytes.
      void* const to = reinterpret_cast<void*>(Swizzled(reinterpret_cast<uintptr_t>(shared) + 128 * r + byte));
      if (y + r < map->rows && x + byte < map->row_bytes) {
        std::memcpy(to, map->data + (y + r) * map->stride + x + byte, 16);
      } else {
        std::memset(to, 0, 16);
      }
    }
  }
  EmulatedBarrier& b = AsEmulated(barrier);
  b.bytes -= 128 * map->box_rows;
  EndPhase(b);
}

// ---- Products
inline uint64_t TileDescriptor(const void* shared) { return reinterpret_cast<uint64_t>(shared) >> 4; }

struct EmulatedProduct {
  int32_t* d;
  uint64_t a, b;
  int add;
};
inline std::deque<std::vector<EmulatedProduct>>& ProductGroups() {
  static std::deque<std::vector<EmulatedProduct>> groups[1024];
  std::deque<std::vector<EmulatedProduct>>& mine = groups[cuda_emulator::ThreadInBlock()];
  if (mine.empty()) mine.emplace_back();
  return mine;
}
// The 256 bits of a row that one product takes.
struct BitsOfRow {
  uint64_t word[4];
};
inline BitsOfRow RowOfTile(uint64_t descriptor, int row) {
  BitsOfRow bits;
  for (int piece = 0; piece < 2; ++piece) {
    std::memcpy(&bits.word[2 * piece],
                reinterpret_cast<const void*>(Swizzled((descriptor << 4) + 128 * row + 16 * piece)), 16);
  }
  return bits;
}
inline void FenceProducts() {}
inline void CommitProducts() { ProductGroups().emplace_back(); }
template <int kOpen>
void WaitForProducts() {
  auto& groups = ProductGroups();
  while (groups.size() > kOpen + 1) {
    for (const EmulatedProduct& product : groups.front()) {
      const int thread = cuda_emulator::ThreadInBlock() % 128;
      const int row = thread / 32 * 16 + thread % 32 / 4;
      const BitsOfRow rows[2] = {RowOfTile(product.a, row), RowOfTile(product.a, row + 8)};
      for (int c = 0; c < 32; ++c) {
        const BitsOfRow column = RowOfTile(product.b, c / 2 * 8 + thread % 4 * 2 + c % 2);
        for (int half = 0; half < 2; ++half) {
          int32_t& d = product.d[c / 2 * 4 + half * 2 + c % 2];
          if (product.add == 0) d = 0;
          for (int word = 0; word < 4; ++word) d += std::popcount(rows[half].word[word] & column.word[word]);
        }
      }
    }
    groups.pop_front();
  }
}
inline void MultiplyBits64x128(int32_t (&d)[64], uint64_t a, uint64_t b, int add) {
  ProductGroups().back().push_back({d, a, b, add});
}

template <int>
void ReleaseRegisters() {}
template <int>
void TakeRegisters() {}

}  // namespace bitgrad::cuda_emulated

#endif  // BITGRAD_OPS_CUDA_EMULATOR_EMULATED_WGMMA_H_
