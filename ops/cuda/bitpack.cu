// Conversions between bits and numbers. They are limited by the numbers that they read or write, 4 bytes per element (1
// for codes), which are accessed once, in whole sectors. Bits take an eighth of a byte.

#include <array>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/bit_rows.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// Bit `lane` of group `group` of a line.
__device__ bool BitOfGroup(const uint64_t* line, int group) {
  return (line[group / 2] >> (group % 2 * 32 + threadIdx.x % 32) & 1) != 0;
}

__global__ void UnpackSignsKernel(ConstBitMatrixView bits, MatrixView<float> y) {
  ForEachLine(y.rows, y.cols, [&](int64_t i, int64_t begin) {
    const uint64_t* const line = bits.row(i) + begin / 64;
    for (int group = 0; group < kLineBits / 32 && begin + group * 32 < y.cols; ++group) {
      const int64_t j = begin + group * 32 + threadIdx.x % 32;
      if (j < y.cols) y.at(i, j) = BitOfGroup(line, group) ? 1.0f : -1.0f;
    }
  });
}

__global__ void MaskByBitsKernel(ConstBitMatrixView mask, ConstMatrixView<float> dy, MatrixView<float> dx) {
  ForEachLine(dx.rows, dx.cols, [&](int64_t i, int64_t begin) {
    const uint64_t* const line = mask.row(i) + begin / 64;
    for (int group = 0; group < kLineBits / 32 && begin + group * 32 < dx.cols; group += kGroupsInFlight) {
      const int64_t first = begin + group * 32 + threadIdx.x % 32;
      // Loads come first: dx may be dy, so the compiler cannot move them before the stores itself.
      float values[kGroupsInFlight];
#pragma unroll
      for (int k = 0; k < kGroupsInFlight; ++k) {
        const int64_t j = first + k * 32;
        values[k] = j < dx.cols && BitOfGroup(line, group + k) ? dy.at(i, j) : 0.0f;
      }
#pragma unroll
      for (int k = 0; k < kGroupsInFlight; ++k) {
        if (const int64_t j = first + k * 32; j < dx.cols) dx.at(i, j) = values[k];
      }
    }
  });
}

// Each warp adds its sum with one atomic addition. Sums of integers do not depend on the order.
__global__ void CountOnesKernel(ConstBitMatrixView bits, unsigned long long* count) {
  unsigned long long sum = 0;
  ForEachCell(bits.rows, (bits.cols + 63) / 64,
              [&](int64_t i, int64_t w) { sum += static_cast<unsigned>(__popcll(bits.row(i)[w])); });
  for (int delta = 16; delta > 0; delta /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, delta);
  if (threadIdx.x % 32 == 0 && sum != 0) atomicAdd(count, sum);
}

}  // namespace

void PackSigns(ExecContext& context, ConstMatrixView<float> x, BitMatrixView bits, BitMatrixView window) {
  BITGRAD_DCHECK(bits.rows == x.rows && bits.cols == x.cols);
  if (window.words == nullptr) {
    PackBits<1>(context, "pack_signs", x.rows, x.cols,
                [=] __device__(int64_t i, int64_t j) { return x.at(i, j) >= 0.0f ? 1 : 0; }, {bits});
    return;
  }
  BITGRAD_DCHECK(window.rows == x.rows && window.cols == x.cols);
  PackBits<2>(context, "pack_signs", x.rows, x.cols,
              [=] __device__(int64_t i, int64_t j) {
                const float v = x.at(i, j);
                return (v >= 0.0f ? 1 : 0) | (fabsf(v) <= 1.0f ? 2 : 0);
              },
              {bits, window});
}

void UnpackSigns(ExecContext& context, ConstBitMatrixView bits, MatrixView<float> y) {
  BITGRAD_DCHECK(bits.rows == y.rows && bits.cols == y.cols);
  if (y.size() > 0) Launch(context, "unpack_signs", UnpackSignsKernel, OverLines(y.rows, y.cols), bits, y);
}

void MaskByBits(ExecContext& context, ConstBitMatrixView mask, ConstMatrixView<float> dy, MatrixView<float> dx) {
  BITGRAD_DCHECK(mask.rows == dy.rows && mask.cols == dy.cols && dx.rows == dy.rows && dx.cols == dy.cols);
  if (dx.size() > 0) Launch(context, "mask_by_bits", MaskByBitsKernel, OverLines(dx.rows, dx.cols), mask, dy, dx);
}

void PackPlanes(ExecContext& context, ConstMatrixView<uint8_t> codes, int count, const BitMatrixView* planes) {
  BITGRAD_DCHECK(count <= kMaxCodeBits);
  const auto pack = [&]<int kCount>() {
    std::array<BitMatrixView, kCount> outputs = {};
    for (int b = 0; b < count; ++b) outputs[b] = planes[b];
    return outputs;
  };
  const auto code = [=] __device__(int64_t i, int64_t j) { return static_cast<uint32_t>(codes.at(i, j)); };
  if (count <= 2) {
    PackBits<2>(context, "pack_planes", codes.rows, codes.cols, code, pack.operator()<2>());
  } else {
    PackBits<kMaxCodeBits>(context, "pack_planes", codes.rows, codes.cols, code, pack.operator()<kMaxCodeBits>());
  }
}

void CountOnes(ExecContext& context, ConstBitMatrixView bits, int64_t* count) {
  context.allocator().Zero(count, sizeof(*count));
  const int64_t words = bits.rows * ((bits.cols + 63) / 64);
  if (words == 0) return;
  // Each thread counts several words, so that fewer warps add to the same address.
  Launch(context, "count_ones", CountOnesKernel, OverElements((words + 7) / 8), bits,
         reinterpret_cast<unsigned long long*>(count));
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
