#include "bitgrad/ops/cuda/packed_gemm_i16.h"

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/gemm_epilogues.h"
#include "bitgrad/ops/cuda/packed_product.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// Each lane of a quad has four pairs of a row of 32 cells, eight cells apart, and could store only 4 bytes at a time.
// So the quad transposes its pairs first. Then each lane has eight adjacent cells, which it stores with one access of
// 16 bytes: 64 adjacent bytes for the quad.
struct ToInt16 {
  DotTerms terms;
  MatrixView<int16_t> c;
  bool aligned;  // whether rows of c are aligned to 16 bytes

  // Transposes in a quad: pairs[t] of lane q becomes pairs[q] of lane t. The two halves of the quad exchange two pairs
  // each, then the two lanes of each half.
  static __device__ __forceinline__ void Transpose(uint32_t (&pairs)[4]) {
    const bool upper = (threadIdx.x & 2) != 0, odd = (threadIdx.x & 1) != 0;
#pragma unroll
    for (int t = 0; t < 2; ++t) {
      const uint32_t theirs = __shfl_xor_sync(0xffffffffu, upper ? pairs[t] : pairs[t + 2], 2);
      pairs[t] = upper ? theirs : pairs[t];
      pairs[t + 2] = upper ? pairs[t + 2] : theirs;
    }
#pragma unroll
    for (int t = 0; t < 4; t += 2) {
      const uint32_t theirs = __shfl_xor_sync(0xffffffffu, odd ? pairs[t] : pairs[t + 1], 1);
      pairs[t] = odd ? theirs : pairs[t];
      pairs[t + 1] = odd ? pairs[t + 1] : theirs;
    }
  }

  template <typename Tile>
  __device__ __forceinline__ void Store(int64_t row0, int64_t col0, const WarpSums<Tile>& sums) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    int32_t column_term[Tile::kWarpCols / 4];
#pragma unroll
    for (int n = 0; n < Tile::kWarpCols / 4; ++n) {
      const int64_t j = col0 + n / 2 * 8 + lane % 4 * 2 + n % 2;
      column_term[n] = j < c.cols ? terms.ColumnTerm(j) : 0;
    }
#pragma unroll
    for (int half_tile = 0; half_tile < Tile::kWarpRows / 8; ++half_tile) {
      const int64_t i = row0 + 8 * half_tile + lane / 4;
      const int32_t row_term = i < c.rows ? terms.RowTerm(i) : 0;
      uint32_t pairs[4];
#pragma unroll
      for (int t = 0; t < 4; ++t) {
        const auto dot = [&](int k) {
          const int32_t sum = sums.s[half_tile / 2][t][half_tile % 2 * 2 + k];
          return static_cast<uint32_t>(terms.scale * sum + row_term + column_term[2 * t + k]) & 0xffff;
        };
        pairs[t] = dot(0) | dot(1) << 16;
      }
      Transpose(pairs);
      const int64_t j = col0 + lane % 4 * 8;
      if (i >= c.rows || j >= c.cols) continue;
      int16_t* const cells = &c.at(i, j);
      if (aligned && j + 8 <= c.cols) {
        *reinterpret_cast<uint4*>(cells) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
      } else {
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          if (j + k < c.cols) cells[k] = static_cast<int16_t>(pairs[k / 2] >> k % 2 * 16 & 0xffff);
        }
      }
    }
  }
};

}  // namespace

void PackedGemmI16(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, MatrixView<int16_t> c) {
  BITGRAD_DCHECK(c.rows == a.rows && c.cols == b.rows && a.cols <= kMostInnerOfI16);
  const bool aligned = reinterpret_cast<uintptr_t>(c.data) % 16 == 0 && c.stride % 8 == 0;
  PackedProduct(context, "packed_gemm_i16", a, b, [&](const DotTerms& terms, const auto& multiply) {
    multiply(c.cols, ToInt16{terms, c, aligned});
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
