// mma.h for the emulator, with the fragment layouts of the PTX manual written out. Asynchronous copies are made when
// they are waited for, so that a kernel that forgets to wait reads garbage.

#ifndef BITGRAD_OPS_CUDA_EMULATOR_EMULATED_MMA_H_
#define BITGRAD_OPS_CUDA_EMULATOR_EMULATED_MMA_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/emulator/emulated_device.h"

namespace bitgrad::cuda_emulated {

struct EmulatedFragments {
  uint32_t a[32][4];
  uint32_t b[32][2];
  const void* rows[32];
};

// The fragments of this thread's warp.
inline EmulatedFragments& WarpFragments() {
  static EmulatedFragments fragments[32];
  return fragments[cuda_emulator::ThreadInBlock() / 32];
}

// c += the sum of product(word of a, word of b) over the 8 words in a row of a and a column of b.
template <typename C, typename Product>
void EmulatedMma(C (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const Product& product) {
  EmulatedFragments& warp = WarpFragments();
  const int lane = cuda_emulator::ThreadInBlock() % 32;
  std::memcpy(warp.a[lane], a, sizeof a);
  std::memcpy(warp.b[lane], b, sizeof b);
  __syncwarp();
  const int g = lane / 4, q = lane % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = g + i / 2 * 8;
    const int column = 2 * q + i % 2;
    for (int word = 0; word < 8; ++word) {
      const uint32_t x = warp.a[row % 8 * 4 + word % 4][row / 8 + word / 4 * 2];
      const uint32_t y = warp.b[column * 4 + word % 4][word / 4];
      c[i] += product(x, y);
    }
  }
  __syncwarp();
}

inline void MmaB1(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  BITGRAD_CHECK(cuda_emulator::ComputeCapability() < 100);  // a real GPU would run it, but slowly
  EmulatedMma(c, a, b, [](uint32_t x, uint32_t y) { return std::popcount(x & y); });
}
template <typename Byte>
int32_t ProductOfBytes(uint32_t x, uint32_t y) {
  int32_t sum = 0;
  for (int i = 0; i < 4; ++i) sum += int32_t{static_cast<Byte>(x >> 8 * i)} * int32_t{static_cast<Byte>(y >> 8 * i)};
  return sum;
}
inline void MmaU8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  EmulatedMma(c, a, b, ProductOfBytes<uint8_t>);
}
inline void MmaS8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  EmulatedMma(c, a, b, ProductOfBytes<int8_t>);
}
inline void MmaBf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  EmulatedMma(c, a, b, [](uint32_t x, uint32_t y) {
    return std::bit_cast<float>(x << 16) * std::bit_cast<float>(y << 16) +
           std::bit_cast<float>(x & 0xffff0000) * std::bit_cast<float>(y & 0xffff0000);
  });
}

inline void LoadMatrices(uint32_t (&r)[4], const void* row) {
  BITGRAD_CHECK(reinterpret_cast<uintptr_t>(row) % 16 == 0);
  EmulatedFragments& warp = WarpFragments();
  const int lane = cuda_emulator::ThreadInBlock() % 32;
  warp.rows[lane] = row;
  __syncwarp();
  for (int i = 0; i < 4; ++i) {
    std::memcpy(&r[i], static_cast<const unsigned char*>(warp.rows[8 * i + lane / 4]) + lane % 4 * 4, 4);
  }
  __syncwarp();
}

inline void LoadTransposed(uint32_t (&r)[4], const void* row) {
  BITGRAD_CHECK(reinterpret_cast<uintptr_t>(row) % 16 == 0);
  EmulatedFragments& warp = WarpFragments();
  const int lane = cuda_emulator::ThreadInBlock() % 32;
  warp.rows[lane] = row;
  __syncwarp();
  for (int i = 0; i < 4; ++i) {
    uint16_t pair[2];
    for (int k = 0; k < 2; ++k) {
      std::memcpy(&pair[k], static_cast<const unsigned char*>(warp.rows[8 * i + lane % 4 * 2 + k]) + lane / 4 * 2, 2);
    }
    std::memcpy(&r[i], pair, 4);
  }
  __syncwarp();
}

inline uint16_t ToBf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (x != x) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

struct EmulatedCopy {
  void* to;
  const void* from;
};
inline std::deque<std::vector<EmulatedCopy>>& CopyGroups() {
  static std::deque<std::vector<EmulatedCopy>> groups[1024];
  std::deque<std::vector<EmulatedCopy>>& mine = groups[cuda_emulator::ThreadInBlock()];
  if (mine.empty()) mine.emplace_back();
  return mine;
}
inline void CopyAsync16(void* shared, const void* from, bool valid) {
  BITGRAD_CHECK(reinterpret_cast<uintptr_t>(shared) % 16 == 0 &&
                (!valid || reinterpret_cast<uintptr_t>(from) % 16 == 0));
  CopyGroups().back().push_back({shared, valid ? from : nullptr});
}
inline void CommitCopies() { CopyGroups().emplace_back(); }
template <int kOpen>
void WaitForCopies() {
  auto& groups = CopyGroups();
  // The last group has not been committed yet.
  while (groups.size() > kOpen + 1) {
    for (const EmulatedCopy& copy : groups.front()) {
      if (copy.from != nullptr) {
        std::memcpy(copy.to, copy.from, 16);
      } else {
        std::memset(copy.to, 0, 16);
      }
    }
    groups.pop_front();
  }
}

}  // namespace bitgrad::cuda_emulated

#endif  // BITGRAD_OPS_CUDA_EMULATOR_EMULATED_MMA_H_
