// Table lookup for bytes, with 256 entries. Limited by memory, 5 bytes per element for floats and 2 for bytes: the
// table is in shared memory, where bank conflicts (3 or 4 of 32 lanes meet in a bank, at random) take about as long as
// the memory does. A thread writes 16 bytes.

#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

template <typename T>
struct alignas(16) Vector {
  static constexpr int kSize = 16 / sizeof(T);
  T value[kSize];
};
template <int kSize>
struct alignas(kSize) Bytes {
  uint8_t value[kSize];
};

// `whole` says whether x and y are aligned for vectors.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    LookUpKernel(const T* table, const uint8_t* x, T* y, int64_t count, bool whole) {
  constexpr int kSize = Vector<T>::kSize;
  static_assert(kThreads == 256, "each thread has an entry of the table");
  __shared__ T entries[256];
  entries[threadIdx.x] = table[threadIdx.x];
  __syncthreads();
  ForEachElement((count + kSize - 1) / kSize, [&](int64_t v) {
    const int64_t first = v * kSize;
    if (whole && first + kSize <= count) {
      const auto in = *reinterpret_cast<const Bytes<kSize>*>(x + first);
      Vector<T> out;
#pragma unroll
      for (int k = 0; k < kSize; ++k) out.value[k] = entries[in.value[k]];
      *reinterpret_cast<Vector<T>*>(y + first) = out;
    } else {
      for (int64_t i = first; i < min(first + kSize, count); ++i) y[i] = entries[x[i]];
    }
  });
}

template <typename T>
void LookUp(ExecContext& context, const char* name, const T* table, const uint8_t* x, T* y, int64_t count) {
  if (count == 0) return;
  constexpr int kSize = Vector<T>::kSize;
  const bool whole = reinterpret_cast<uintptr_t>(x) % kSize == 0 && reinterpret_cast<uintptr_t>(y) % 16 == 0;
  Launch(context, name, LookUpKernel<T>, OverElements((count + kSize - 1) / kSize), table, x, y, count, whole);
}

}  // namespace

void LookUpF32(ExecContext& context, const float* table, const uint8_t* x, float* y, int64_t count) {
  LookUp(context, "look_up_f32", table, x, y, count);
}

void LookUpU8(ExecContext& context, const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t count) {
  LookUp(context, "look_up_u8", table, x, y, count);
}

// The tables of a few channels stay in the first cache.
void LookUpChannels(ExecContext& context, const uint8_t* tables, const uint8_t* x, uint8_t* y, int64_t rows,
                    int64_t channels) {
  ForCells(context, "look_up_channels", rows, channels, [=] __device__(int64_t i, int64_t c) {
    const int64_t at = i * channels + c;
    y[at] = tables[c * 256 + x[at]];
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
