// The parts of cuda_runtime.h that .cu files use, for the emulator.

#ifndef BITGRAD_OPS_CUDA_EMULATOR_EMULATED_DEVICE_H_
#define BITGRAD_OPS_CUDA_EMULATOR_EMULATED_DEVICE_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "bitgrad/ops/cuda/emulator/emulator.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__ __restrict
// The emulator runs one block at a time, so a static variable belongs to the block that runs.
#define __shared__ static
#define __launch_bounds__(...)
#define __grid_constant__
#define BITGRAD_DYNAMIC_SHARED(name) unsigned char* const name = ::bitgrad::cuda_emulator::DynamicShared()

namespace bitgrad::cuda_emulated {

using cuda_emulator::blockDim;
using cuda_emulator::blockIdx;
using cuda_emulator::dim3;
using cuda_emulator::gridDim;
using cuda_emulator::threadIdx;
using cuda_emulator::warpSize;

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) ulonglong2 {
  unsigned long long x, y;
};
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }

inline void __syncthreads() { cuda_emulator::SyncBlock(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { cuda_emulator::SyncWarp(mask); }

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
// The position of the lowest bit, counted from 1; 0 where there is none.
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }

inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
  for (int i = 0; i < 4; ++i) c += (a >> 8 * i & 0xff) * (b >> 8 * i & 0xff);
  return c;
}

// Every lane in `mask` puts a value into its slot; then each calls look(lane, of), where of(i) is the value of lane i.
template <typename T, typename F>
auto __exchange(unsigned mask, T value, const F& look) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t* const slots = cuda_emulator::WarpSlots();
  const int lane = cuda_emulator::ThreadInBlock() % 32;
  std::memcpy(&slots[lane], &value, sizeof(T));
  cuda_emulator::SyncWarp(mask);
  const auto result = look(lane, [&](int other) {
    T theirs;
    std::memcpy(&theirs, &slots[other], sizeof(T));
    return theirs;
  });
  cuda_emulator::SyncWarp(mask);
  return result;
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int flip, int width = 32) {
  return __exchange(mask, value, [&](int lane, const auto& of) {
    return ((lane ^ flip) & ~(width - 1)) == (lane & ~(width - 1)) ? of(lane ^ flip) : of(lane);
  });
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return __exchange(mask, predicate, [&](int, const auto& of) {
    unsigned bits = 0;
    for (int i = 0; i < 32; ++i) {
      if ((mask >> i & 1) != 0 && of(i) != 0) bits |= 1u << i;
    }
    return bits;
  });
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __syncthreads_or(int predicate) {
  static int any;
  cuda_emulator::SyncBlock();
  any = 0;
  cuda_emulator::SyncBlock();
  any |= predicate != 0;
  cuda_emulator::SyncBlock();
  return any;
}

// One thread runs at a time, so plain operations are atomic.
template <typename T>
T atomicAdd(T* p, std::type_identity_t<T> x) {
  const T old = *p;
  *p = old + x;
  return old;
}
template <typename T>
T atomicMax(T* p, std::type_identity_t<T> x) {
  const T old = *p;
  if (x > old) *p = x;
  return old;
}
template <typename T>
T atomicOr(T* p, std::type_identity_t<T> x) {
  const T old = *p;
  *p = old | x;
  return old;
}

template <typename T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}

}  // namespace bitgrad::cuda_emulated

#endif  // BITGRAD_OPS_CUDA_EMULATOR_EMULATED_DEVICE_H_
