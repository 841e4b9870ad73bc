// The epilogues of tensor_gemm.h: from its sums S(i, j) to dot products of codes, and then to floats, bits or codes.
//
//   dot(i, j) = scale S + row_terms[i] + column_terms[j] + constant        (ops/kernels/coded_gemm.h)
//
// For bits c with code 2c - 1: dot = 4 popcount(a & b) - 2 popcount(a) - 2 popcount(b) + K.

#ifndef BITGRAD_OPS_CUDA_GEMM_EPILOGUES_H_
#define BITGRAD_OPS_CUDA_GEMM_EPILOGUES_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/levels.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

struct DotTerms {
  int32_t scale;
  int32_t row_factor;  // multiplies row_sums[i]
  int32_t column_factor;
  int32_t constant;
  const int32_t* row_sums;     // sum_k c_a
  const int32_t* column_sums;  // sum_k c_b

  __device__ __forceinline__ int32_t RowTerm(int64_t i) const { return row_factor * row_sums[i] + constant; }
  __device__ __forceinline__ int32_t ColumnTerm(int64_t j) const { return column_factor * column_sums[j]; }
};

// Calls f(i, j, dot) for this lane's cells inside [rows, cols]. Cells come in pairs: (i, j) with an even j, then (i, j
// + 1).
template <typename Tile, typename F>
__device__ __forceinline__ void ForEachDot(const DotTerms& terms, int64_t row0, int64_t col0, int64_t rows,
                                           int64_t cols, const WarpSums<Tile>& sums, const F& f) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int half_tile = 0; half_tile < Tile::kWarpRows / 8; ++half_tile) {
    const int64_t i = row0 + 8 * half_tile + lane / 4;
    if (i >= rows) continue;
    const int32_t row_term = terms.RowTerm(i);
#pragma unroll
    for (int t = 0; t < Tile::kWarpCols / 8; ++t) {
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        const int64_t j = col0 + 8 * t + lane % 4 * 2 + k;
        if (j < cols)
          f(i, j, terms.scale * sums.s[half_tile / 2][t][half_tile % 2 * 2 + k] + row_term + terms.ColumnTerm(j));
      }
    }
  }
}

// c = float(dot) * scale.at(j).
struct ToFloat {
  DotTerms terms;
  MatrixView<float> c;
  ScaleView scale;

  template <typename Tile>
  __device__ __forceinline__ void Store(int64_t row0, int64_t col0, const WarpSums<Tile>& sums) const {
    ForEachDot(terms, row0, col0, c.rows, c.cols, sums,
               [&](int64_t i, int64_t j, int32_t dot) { c.at(i, j) = static_cast<float>(dot) * scale.at(j); });
  }
};

// Bit j of row i = (dot >= threshold[j]) != flip[j]. The padding bits are written, too, as the launch covers whole rows
// of c.
//
// The 32 columns of a row of a warp tile lie in the four lanes of a quad, eight in each. Two shuffles join them to a
// word.
struct ToBits {
  DotTerms terms;
  BitMatrixView c;
  const int32_t* threshold;
  const uint8_t* flip;

  static int64_t Columns(const BitMatrixView& c) { return BitMatrix::WordsPerRow(c.cols) * 64; }

  template <typename Tile>
  __device__ __forceinline__ void Store(int64_t row0, int64_t col0, const WarpSums<Tile>& sums) const {
    if (col0 >= BitMatrix::WordsPerRow(c.cols) * 64) return;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    int32_t column_term[Tile::kWarpCols / 4], least[Tile::kWarpCols / 4];
    uint32_t flips = 0, inside = 0;
#pragma unroll
    for (int n = 0; n < Tile::kWarpCols / 4; ++n) {
      const int bit = n / 2 * 8 + lane % 4 * 2 + n % 2;
      const int64_t j = col0 + bit;
      column_term[n] = least[n] = 0;
      if (j >= c.cols) continue;
      column_term[n] = terms.ColumnTerm(j);
      least[n] = threshold[j];
      flips |= static_cast<uint32_t>(flip[j] != 0) << bit;
      inside |= 1u << bit;
    }
#pragma unroll
    for (int half_tile = 0; half_tile < Tile::kWarpRows / 8; ++half_tile) {
      const int64_t i = row0 + 8 * half_tile + lane / 4;
      const int32_t row_term = i < c.rows ? terms.RowTerm(i) : 0;
      uint32_t word = 0;
#pragma unroll
      for (int n = 0; n < Tile::kWarpCols / 4; ++n) {
        const int32_t s = sums.s[half_tile / 2][n / 2][half_tile % 2 * 2 + n % 2];
        const int bit = n / 2 * 8 + lane % 4 * 2 + n % 2;
        word |= static_cast<uint32_t>(terms.scale * s + row_term + column_term[n] >= least[n]) << bit;
      }
      word = (word ^ flips) & inside;
      word |= __shfl_xor_sync(0xffffffffu, word, 1);
      word |= __shfl_xor_sync(0xffffffffu, word, 2);
      if (lane % 4 == 0 && i < c.rows) reinterpret_cast<uint32_t*>(c.row(i))[col0 / 32] = word;
    }
  }
};

// c = the number of thresholds that the dot product reaches (DotOutput::codes).
struct ToCodes {
  DotTerms terms;
  MatrixView<uint8_t> c;
  Levels levels;

  template <typename Tile>
  __device__ __forceinline__ void Store(int64_t row0, int64_t col0, const WarpSums<Tile>& sums) const {
    ForEachDot(terms, row0, col0, c.rows, c.cols, sums,
               [&](int64_t i, int64_t j, int32_t dot) { c.at(i, j) = levels.Code(j, dot); });
  }
};

// Calls multiply(columns, epilogue) with the epilogue that `out` asks for.
template <typename Multiply>
void MultiplyTo(const DotOutput& out, const DotTerms& terms, const Multiply& multiply) {
  if (out.floats.data != nullptr) {
    multiply(out.floats.cols, ToFloat{terms, out.floats, out.scale});
  } else if (out.bits.words != nullptr) {
    multiply(ToBits::Columns(out.bits), ToBits{terms, out.bits, out.threshold, out.flip});
  } else {
    multiply(out.codes.cols, ToCodes{terms, out.codes, Levels(out)});
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_GEMM_EPILOGUES_H_
