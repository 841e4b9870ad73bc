// Sums over the columns of a matrix, in double and always in the same order.
//
// A block takes a strip of 32 columns, which its 8 warps read row by row, 128 bytes per row. Where the strips alone do
// not fill the GPU (a tall matrix with few columns), the rows are split over several blocks, too; a second kernel then
// adds the blocks' partial sums from scratch memory. So a matrix of any shape is read once, at the memory's speed.

#ifndef BITGRAD_OPS_CUDA_COLUMN_SUMS_H_
#define BITGRAD_OPS_CUDA_COLUMN_SUMS_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The threads of a tile; threadIdx.x is the column.
inline constexpr int kTileCols = 32;
inline constexpr int kTileRows = 8;

inline int64_t Strips(int64_t cols) { return (cols + kTileCols - 1) / kTileCols; }

// Adds the sums of the kTileRows threads of each column. The first of them gets the result; the others keep garbage.
template <int kSums>
__device__ void AddUpTile(double (&sums)[kSums]) {
  __shared__ double tile[kSums][kTileRows][kTileCols];
  for (int s = 0; s < kSums; ++s) tile[s][threadIdx.y][threadIdx.x] = sums[s];
  __syncthreads();
  if (threadIdx.y != 0) return;
  for (int s = 0; s < kSums; ++s) {
    for (int r = 1; r < kTileRows; ++r) sums[s] += tile[s][r][threadIdx.x];
  }
}

template <int kSums, typename Add, typename Finish>
__global__ void ColumnPartialsKernel(int64_t rows, int64_t cols, int64_t rows_per_block, Add add, Finish finish,
                                     double* partials) {
  const int64_t j = static_cast<int64_t>(blockIdx.x) * kTileCols + threadIdx.x;
  const int64_t begin = blockIdx.y * rows_per_block;
  const int64_t end = begin + rows_per_block < rows ? begin + rows_per_block : rows;
  double sums[kSums] = {};
  if (j < cols) {
#pragma unroll 8
    for (int64_t i = begin + threadIdx.y; i < end; i += kTileRows) add(i, j, sums);
  }
  AddUpTile(sums);
  if (threadIdx.y != 0 || j >= cols) return;
  if (gridDim.y == 1) {
    finish(j, sums);
  } else {
    for (int s = 0; s < kSums; ++s) partials[(static_cast<int64_t>(blockIdx.y) * kSums + s) * cols + j] = sums[s];
  }
}

template <int kSums, typename Finish>
__global__ void ColumnTotalsKernel(int64_t splits, int64_t cols, Finish finish, const double* partials) {
  const int64_t j = static_cast<int64_t>(blockIdx.x) * kTileCols + threadIdx.x;
  double sums[kSums] = {};
  if (j < cols) {
#pragma unroll 4
    for (int64_t p = threadIdx.y; p < splits; p += kTileRows) {
      for (int s = 0; s < kSums; ++s) sums[s] += partials[(p * kSums + s) * cols + j];
    }
  }
  AddUpTile(sums);
  if (threadIdx.y == 0 && j < cols) finish(j, sums);
}

// Enqueues, for each column j, finish(j, sums). `sums` starts as zeros, and add(i, j, sums) has been called for all
// rows i.
//   add      void(int64_t i, int64_t j, double* sums): adds the element's terms; it must not write to memory
//   finish   void(int64_t j, const double* sums)
template <int kSums, typename Add, typename Finish>
void SumColumns(ExecContext& context, const char* name, int64_t rows, int64_t cols, const Add& add,
                const Finish& finish) {
  if (cols == 0) return;
  // A second kernel costs as much as reading 128 rows. With more than 256 pieces it would take longer than it saves.
  constexpr int64_t kBlocks = 132 * 4, kMostSplits = 256, kFewestRows = 128;
  const int64_t strips = Strips(cols);
  const int64_t wanted =
      std::clamp<int64_t>(std::min((kBlocks + strips - 1) / strips, rows / kFewestRows), 1, kMostSplits);
  const int64_t rows_per_block = std::max<int64_t>(1, (rows + wanted - 1) / wanted);
  const int64_t splits = std::max<int64_t>(1, (rows + rows_per_block - 1) / rows_per_block);
  const dim3 tile(kTileCols, kTileRows);
  const Scratch<double> partials(context, splits > 1 ? splits * kSums * cols : 0);
  Launch(context, name, ColumnPartialsKernel<kSums, Add, Finish>,
         {dim3(static_cast<unsigned>(strips), static_cast<unsigned>(splits)), tile}, rows, cols, rows_per_block, add,
         finish, partials.data());
  if (splits > 1) {
    Launch(context, name, ColumnTotalsKernel<kSums, Finish>, {dim3(static_cast<unsigned>(strips)), tile}, splits, cols,
           finish, partials.data());
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_COLUMN_SUMS_H_
