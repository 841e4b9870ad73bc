// Products of bits on GPUs that have none. From compute capability 10 on, tensor cores do not multiply bits: the
// instruction is emulated by a function that splits them into single products. Here each operand's bits are expanded to
// bytes once, in memory, and the bytes are multiplied (tensor_gemm.h). S = sum_k c_a c_b is the same number, so the
// epilogues and their terms are those of the bits.
//
// Limits, for every size: a byte takes eight times the traffic of a bit, and the rate is that of mma.sync on bytes.
// What bits still save is memory between the layers. Operands are expanded in chunks of rows that together stay below
// kMostChunkBytes (or in chunks of 128 rows). A chunk of a is expanded again for each chunk of b, which writes 1 byte
// per 2 n products.

#ifndef BITGRAD_OPS_CUDA_EXPANDED_PRODUCT_H_
#define BITGRAD_OPS_CUDA_EXPANDED_PRODUCT_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/byte_operand.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"
#include "bitgrad/ops/cuda/tensor_map.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

inline bool HasBitProducts() { return ComputeCapability() < 100; }

// The epilogue for a part of the product, made of the epilogue for the whole: the part begins at (row, col).
template <typename Epilogue>
struct PartOf {
  Epilogue epilogue;
  int64_t row, col;

  template <typename Tile>
  __device__ __forceinline__ void Store(int64_t row0, int64_t col0, const WarpSums<Tile>& sums) const {
    epilogue.template Store<Tile>(row + row0, col + col0, sums);
  }
};

// The rows first .. first + count - 1 of x.
inline ConstPlanesView RowsOf(const ConstPlanesView& x, int64_t first, int64_t count) {
  ConstPlanesView rows = x;
  for (int p = 0; p < x.encoding.bits; ++p) {
    rows.planes[p] = {x.planes[p].words + first * x.planes[p].stride, count, x.planes[p].cols, x.planes[p].stride};
  }
  return rows;
}

// Computes S of all rows of a and `cols` columns, as TensorGemm<BitProducts>() does of the same planes.
template <typename Epilogue>
void ExpandedProduct(ExecContext& context, const char* name, const ConstPlanesView& a, const ConstPlanesView& b,
                     int64_t cols, const Epilogue& epilogue) {
  const int64_t row_bytes = ByteRowBytes(a.cols());
  // Chunks are whole tiles, because a tile that reached into the next chunk would store the sums of missing rows there.
  constexpr int64_t kTile = LargeTile::kBlockRows;
  const int64_t most = std::max<int64_t>(1, kMostChunkBytes / 2 / (kTile * std::max<int64_t>(1, row_bytes))) * kTile;
  const int64_t a_chunk = std::min(most, a.rows()), b_chunk = std::min(most, b.rows());
  const Scratch<uint8_t> a_bytes(context, a_chunk * row_bytes), b_bytes(context, b_chunk * row_bytes);
  for (int64_t col = 0; col < cols; col += most) {
    // Columns after the last row of b are padding; nothing is expanded for them.
    const int64_t b_rows = std::clamp<int64_t>(b.rows() - col, 0, b_chunk);
    if (b_rows > 0) ExpandPlanes(context, RowsOf(b, col, b_rows), b_bytes.data());
    for (int64_t row = 0; row < a.rows(); row += most) {
      const int64_t a_rows = std::min(a.rows() - row, a_chunk);
      if (col == 0 || a.rows() > most) ExpandPlanes(context, RowsOf(a, row, a_rows), a_bytes.data());
      TensorProblem problem = {.a = ByteOperand(a_bytes.data(), a_rows, a.cols()),
                               .b = ByteOperand(b_bytes.data(), b_rows, a.cols()),
                               .row_bytes = row_bytes};
      SetPairs(1, 1, problem);
      TensorGemm<ByteProducts>(context, name, problem, std::min(cols - col, most),
                               PartOf<Epilogue>{epilogue, row, col});
    }
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_EXPANDED_PRODUCT_H_
