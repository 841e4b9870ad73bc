// Kernels on rows of bits (core/bit_matrix.h). A warp processes a row one line at a time: 512 columns, whose bits are a
// cache line. Its lanes take adjacent columns, so that rows of numbers are read and written in whole sectors, and it
// has several of them in flight at once.

#ifndef BITGRAD_OPS_CUDA_BIT_ROWS_H_
#define BITGRAD_OPS_CUDA_BIT_ROWS_H_

#include <array>
#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

inline constexpr int kLineBits = 512;
// The number of groups of 32 columns that a warp loads before it uses any of them.
inline constexpr int kGroupsInFlight = 4;

inline int64_t LinesPerRow(int64_t cols) { return (cols + kLineBits - 1) / kLineBits; }
// The shape of a launch with one warp per line, up to a bounded number of blocks.
inline LaunchShape OverLines(int64_t rows, int64_t cols) { return OverElements(rows * LinesPerRow(cols) * 32); }

// Calls f(i, begin) for this warp's share of the lines: the columns [begin, begin + kLineBits) of row i. All lanes of
// the warp call f.
template <typename F>
__device__ void ForEachLine(int64_t rows, int64_t cols, const F& f) {
  const uint32_t lines = static_cast<uint32_t>((cols + kLineBits - 1) / kLineBits);
  const int64_t count = rows * lines, step = static_cast<int64_t>(gridDim.x) * blockDim.x / 32;
  for (int64_t k = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32; k < count; k += step) {
    const int64_t i = count < (int64_t{1} << 31) ? static_cast<uint32_t>(k) / lines : k / lines;
    f(i, (k - i * lines) * kLineBits);
  }
}

// Each lane l < 8 collects word l of a line. This adds group `group`, whose 32 bits all lanes have, to the word that it
// belongs to.
__device__ inline void KeepGroup(int group, uint32_t bits, uint64_t* word) {
  if (static_cast<int>(threadIdx.x % 32) == group / 2) *word |= static_cast<uint64_t>(bits) << 32 * (group % 2);
}

__device__ inline void StoreLine(const BitMatrixView& bits, int64_t i, int64_t begin, uint64_t word) {
  const int lane = threadIdx.x % 32;
  if (lane < kLineBits / 64) bits.row(i)[begin / 64 + lane] = word;
}

template <int kOutputs, typename F>
__global__ void PackKernel(int64_t rows, int64_t cols, F f, std::array<BitMatrixView, kOutputs> outputs) {
  const int lane = threadIdx.x % 32;
  ForEachLine(rows, cols, [&](int64_t i, int64_t begin) {
    uint64_t words[kOutputs] = {};
    for (int group = 0; group < kLineBits / 32 && begin + group * 32 < cols; group += kGroupsInFlight) {
      uint32_t values[kGroupsInFlight];
#pragma unroll
      for (int k = 0; k < kGroupsInFlight; ++k) {
        const int64_t j = begin + (group + k) * 32 + lane;
        values[k] = j < cols ? static_cast<uint32_t>(f(i, j)) : 0;
      }
#pragma unroll
      for (int k = 0; k < kGroupsInFlight; ++k) {
#pragma unroll
        for (int o = 0; o < kOutputs; ++o) {
          KeepGroup(group + k, __ballot_sync(0xffffffffu, static_cast<int>(values[k] >> o & 1)), &words[o]);
        }
      }
    }
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) {
      if (outputs[o].words != nullptr) StoreLine(outputs[o], i, begin, words[o]);
    }
  });
}

// Bit (i, j) of outputs[o] = bit o of f(i, j). Each output is [rows, cols]; its padding is written, too. Outputs
// without words are skipped.
//
//   PackBits<1>(context, "pack_signs", m, n,
//               [=] __device__(int64_t i, int64_t j) { return x.at(i, j) >= 0.0f; }, {bits});
template <int kOutputs, typename F>
void PackBits(ExecContext& context, const char* name, int64_t rows, int64_t cols, const F& f,
              const std::array<BitMatrixView, kOutputs>& outputs) {
  if (rows * cols > 0) Launch(context, name, PackKernel<kOutputs, F>, OverLines(rows, cols), rows, cols, f, outputs);
}

// Bits [at, at + count) of a row, in the low bits of the result. Reads only words that contain some of them. REQUIRES:
// 1 <= count <= 64.
__device__ inline uint64_t BitsAt(const uint64_t* row, int64_t at, int count) {
  const int shift = static_cast<int>(at % 64);
  uint64_t bits = row[at / 64] >> shift;
  if (shift + count > 64) bits |= row[at / 64 + 1] << (64 - shift);
  return bits & (~uint64_t{0} >> (64 - count));
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_BIT_ROWS_H_
