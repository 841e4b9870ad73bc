#include "bitgrad/ops/cuda/packed_border_gemm.h"

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/gemm_epilogues.h"
#include "bitgrad/ops/cuda/packed_product.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// ForEachDot() visits the cells of a row one after the other, so the compiler computes the row's patch only once.
__device__ __forceinline__ int32_t WithBorder(const BorderTerms& border, int64_t i, int64_t j, int32_t dot) {
  const ConvPixels::Patch patch = border.pixels.At(static_cast<uint32_t>(i));
  return border.pixels.IsFull(patch) ? dot : dot + border.Of(patch, j);
}

// The following are ToFloat and ToBits of gemm_epilogues.h, with the correction of the border.
struct BorderToFloat {
  DotTerms terms;
  BorderTerms border;
  MatrixView<float> c;
  ScaleView scale;

  template <typename Tile>
  __device__ __forceinline__ void Store(int64_t row0, int64_t col0, const WarpSums<Tile>& sums) const {
    ForEachDot(terms, row0, col0, c.rows, c.cols, sums, [&](int64_t i, int64_t j, int32_t dot) {
      c.at(i, j) = static_cast<float>(WithBorder(border, i, j, dot)) * scale.at(j);
    });
  }
};

struct BorderToBits {
  DotTerms terms;
  BorderTerms border;
  BitMatrixView c;
  const int32_t* threshold;
  const uint8_t* flip;

  template <typename Tile>
  __device__ __forceinline__ void Store(int64_t row0, int64_t col0, const WarpSums<Tile>& sums) const {
    if (col0 >= BitMatrix::WordsPerRow(c.cols) * 64) return;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    uint32_t words[Tile::kWarpRows / 8] = {};  // this lane's eight bits of row 8 * index + lane / 4
    ForEachDot(terms, row0, col0, c.rows, c.cols, sums, [&](int64_t i, int64_t j, int32_t dot) {
      const bool bit = (WithBorder(border, i, j, dot) >= threshold[j]) != (flip[j] != 0);
      words[(i - row0 - lane / 4) / 8] |= static_cast<uint32_t>(bit) << (j - col0);
    });
#pragma unroll
    for (int half_tile = 0; half_tile < Tile::kWarpRows / 8; ++half_tile) {
      uint32_t word = words[half_tile];
      word |= __shfl_xor_sync(0xffffffffu, word, 1);
      word |= __shfl_xor_sync(0xffffffffu, word, 2);
      const int64_t i = row0 + 8 * half_tile + lane / 4;
      if (lane % 4 == 0 && i < c.rows) reinterpret_cast<uint32_t*>(c.row(i))[col0 / 32] = word;
    }
  }
};

}  // namespace

void PackedGemmWithBorder(ExecContext& context, ConstBitMatrixView patches, ConstBitMatrixView filters,
                          const BorderTerms& border, const DotOutput& out) {
  BITGRAD_DCHECK(border.taps != nullptr && out.codes.data == nullptr);
  PackedProduct(context, "packed_border_gemm", patches, filters, [&](const DotTerms& terms, const auto& multiply) {
    if (out.floats.data != nullptr) {
      multiply(out.floats.cols, BorderToFloat{terms, border, out.floats, out.scale});
    } else {
      multiply(ToBits::Columns(out.bits), BorderToBits{terms, border, out.bits, out.threshold, out.flip});
    }
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
