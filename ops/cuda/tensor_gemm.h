// The main loop of the exact matrix products on tensor cores, S(i, j) = sum_k a[i, k] b[j, k] of bits (AND and
// population count) or of unsigned bytes. An epilogue (gemm_epilogues.h) then processes S.
//
// Both operands are rows of bytes with K contiguous, aligned to 16 bytes and padded with zeros, so that bytes after K
// add nothing. A block of threads computes a tile of C. Its slices of the operands, 128 bytes of K at a time (1,024
// bits, or 128 bytes), pass through kStages buffers in shared memory; asynchronous copies fill some of these while
// others are multiplied. The 16-byte pieces of a row are permuted by the row's number (piece ^ row % 8), so that the
// eight rows of a matrix load lie in different banks.
//
// A product of operands with several bit planes is a sum of products of pairs of planes: S = sum over p, q of 2^(p + q)
// popcount(a_p & b_q). The loop processes the pairs by falling p + q, and where it falls by one the sums are doubled
// (Horner's scheme), so they stay in registers.
//
// Limits (H200): a multiprocessor starts 0.54 mma.sync of bits per cycle, which is about 9 POPS, half of what wgmma
// reaches (wgmma_gemm.h). A 64 x 32 tile of a warp needs 6 matrix loads for 16 products.

#ifndef BITGRAD_OPS_CUDA_TENSOR_GEMM_H_
#define BITGRAD_OPS_CUDA_TENSOR_GEMM_H_

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/mma.h"
#include "bitgrad/ops/cuda/tensor_operand.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

struct TensorProblem {
  TensorOperand a;
  TensorOperand b;
  int64_t row_bytes;  // bytes of K in a row of either operand; a multiple of 16
  int pairs;
  // For each pair: its planes, and whether the sums so far are doubled before it.
  uint8_t plane_a[kMostPlanes * kMostPlanes];
  uint8_t plane_b[kMostPlanes * kMostPlanes];
  bool doubles[kMostPlanes * kMostPlanes];
};

// Sets the pairs of planes 0 .. planes_a - 1 of a and 0 .. planes_b - 1 of b.
inline void SetPairs(int planes_a, int planes_b, TensorProblem& problem) {
  problem.pairs = 0;
  for (int level = planes_a + planes_b - 2; level >= 0; --level) {
    bool doubles = problem.pairs > 0;
    for (int p = 0; p < planes_a; ++p) {
      if (level - p < 0 || level - p >= planes_b) continue;
      problem.plane_a[problem.pairs] = static_cast<uint8_t>(p);
      problem.plane_b[problem.pairs] = static_cast<uint8_t>(level - p);
      problem.doubles[problem.pairs] = doubles;
      doubles = false;
      ++problem.pairs;
    }
  }
}

struct BitProducts {
  static __device__ void Multiply(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { MmaB1(c, a, b); }
};
struct ByteProducts {
  static __device__ void Multiply(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { MmaU8(c, a, b); }
};

template <int kBlockRows_, int kBlockCols_, int kWarpRows_, int kWarpCols_>
struct TensorTile {
  static constexpr int kBlockRows = kBlockRows_, kBlockCols = kBlockCols_;
  static constexpr int kWarpRows = kWarpRows_, kWarpCols = kWarpCols_;
  static constexpr int kWarps = kBlockRows / kWarpRows * (kBlockCols / kWarpCols);
  static constexpr int kThreads = kWarps * 32;
  static constexpr int kStages = 3;  // for the large tile 96 KiB, about as much as sm_86 and sm_89 have
  static constexpr int kSliceBytes = 128;
  static constexpr int kStageBytes = (kBlockRows + kBlockCols) * kSliceBytes;
  static_assert(kWarpRows % 16 == 0 && kWarpCols == 32);
};
using LargeTile = TensorTile<128, 128, 64, 32>;
using SmallTile = TensorTile<64, 64, 32, 32>;

// A warp's part of the tile: the sums of its kWarpRows x 32 cells, in the fragment layout of mma.h.
template <typename Tile>
struct WarpSums {
  int32_t s[Tile::kWarpRows / 16][Tile::kWarpCols / 8][4];
};

// Copies one slice of K of a tile's operands into a stage.
template <typename Tile>
__device__ __forceinline__ void CopySlice(const TensorProblem& problem, int64_t row0, int64_t col0, int pair,
                                          int64_t byte0, unsigned char* stage) {
  constexpr int kPieces = Tile::kSliceBytes / 16;
  const unsigned char* const a = problem.a.planes[problem.plane_a[pair]];
  const unsigned char* const b = problem.b.planes[problem.plane_b[pair]];
  constexpr int kCopies = (Tile::kBlockRows + Tile::kBlockCols) * kPieces / Tile::kThreads;
#pragma unroll
  for (int k = 0; k < kCopies; ++k) {
    const int i = k * Tile::kThreads + static_cast<int>(threadIdx.x);
    const int r = i / kPieces;
    const int piece = i % kPieces;
    const int64_t byte = byte0 + piece * 16;
    const bool of_a = r < Tile::kBlockRows;
    const TensorOperand& operand = of_a ? problem.a : problem.b;
    const int64_t row = of_a ? row0 + r : col0 + r - Tile::kBlockRows;
    const bool valid = row < operand.rows && byte < problem.row_bytes;
    const unsigned char* const from = of_a ? a : b;
    CopyAsync16(stage + r * Tile::kSliceBytes + (piece ^ (r & 7)) * 16,
                valid ? from + row * operand.stride + byte : from, valid);
  }
}

template <typename Tile, typename Products>
__device__ __forceinline__ void MultiplySlice(const unsigned char* stage, int warp_row, int warp_col,
                                              WarpSums<Tile>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  constexpr int kRowTiles = Tile::kWarpRows / 16, kColTiles = Tile::kWarpCols / 8;
#pragma unroll
  for (int step = 0; step < Tile::kSliceBytes / 32; ++step) {
    uint32_t a[kRowTiles][4];
    uint32_t b[kColTiles][2];
#pragma unroll
    for (int t = 0; t < kRowTiles; ++t) {
      const int r = warp_row + 16 * t + lane % 16;
      const int piece = 2 * step + lane / 16;
      LoadMatrices(a[t], stage + r * Tile::kSliceBytes + (piece ^ (r & 7)) * 16);
    }
#pragma unroll
    for (int t = 0; t < kColTiles; t += 2) {
      const int r = Tile::kBlockRows + warp_col + 8 * t + lane % 8 + lane / 16 * 8;
      const int piece = 2 * step + lane / 8 % 2;
      uint32_t two[4];
      LoadMatrices(two, stage + r * Tile::kSliceBytes + (piece ^ (r & 7)) * 16);
      b[t][0] = two[0];
      b[t][1] = two[1];
      b[t + 1][0] = two[2];
      b[t + 1][1] = two[3];
    }
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
      for (int j = 0; j < kColTiles; ++j) Products::Multiply(sums.s[i][j], a[i], b[j]);
    }
  }
}

// The order in which tiles are computed: groups of kGroup rows of tiles, and each group column by column, so that tiles
// that are computed at the same time share operands in the L2 cache. Tile numbers have 32 bits, because 64-bit division
// is a function call.
struct TileOrder {
  static constexpr int kGroup = 8;
  int row_tiles, col_tiles;

  TileOrder(int64_t rows, int64_t cols, int tile_rows, int tile_cols)
      : row_tiles(static_cast<int>((rows + tile_rows - 1) / tile_rows)),
        col_tiles(static_cast<int>((cols + tile_cols - 1) / tile_cols)) {
    BITGRAD_CHECK(int64_t{row_tiles} * col_tiles < int64_t{1} << 31);
  }
  constexpr int count() const { return row_tiles * col_tiles; }
  __device__ __forceinline__ void Find(int tile, int& row, int& col) const {
    const int group = tile / (kGroup * col_tiles);
    const int rows = min(kGroup, row_tiles - group * kGroup);
    const int within = tile - group * kGroup * col_tiles;
    row = group * kGroup + within % rows;
    col = within / rows;
  }
};

// Computes a tile of S. Each warp then calls epilogue.Store(first row, first column, sums) for its part of the tile.
template <typename Tile, typename Products, typename Epilogue>
__global__ void __launch_bounds__(Tile::kThreads)
    TensorGemmKernel(TensorProblem problem, TileOrder order, Epilogue epilogue) {
  BITGRAD_DYNAMIC_SHARED(shared);
  int row_tile, col_tile;
  order.Find(static_cast<int>(blockIdx.x), row_tile, col_tile);
  const int64_t row0 = static_cast<int64_t>(row_tile) * Tile::kBlockRows;
  const int64_t col0 = static_cast<int64_t>(col_tile) * Tile::kBlockCols;

  const int warp = static_cast<int>(threadIdx.x) / 32;
  constexpr int kWarpColumns = Tile::kBlockCols / Tile::kWarpCols;
  const int warp_row = warp / kWarpColumns * Tile::kWarpRows;
  const int warp_col = warp % kWarpColumns * Tile::kWarpCols;

  WarpSums<Tile> sums = {};
  const int64_t slices_of_pair = (problem.row_bytes + Tile::kSliceBytes - 1) / Tile::kSliceBytes;
  // Columns that are only padding of a bit matrix's rows have nothing to sum.
  const int slices = col0 < problem.b.rows ? static_cast<int>(slices_of_pair * problem.pairs) : 0;

  int copy_pair = 0;
  int64_t copy_byte = 0;
  const auto copy_next = [&](int slice) {
    if (slice < slices) {
      CopySlice<Tile>(problem, row0, col0, copy_pair, copy_byte, shared + slice % Tile::kStages * Tile::kStageBytes);
      copy_byte += Tile::kSliceBytes;
      if (copy_byte >= problem.row_bytes) {
        copy_byte = 0;
        ++copy_pair;
      }
    }
    CommitCopies();
  };
  for (int slice = 0; slice < Tile::kStages - 1; ++slice) copy_next(slice);

  int pair = 0;
  int64_t slice_of_pair = 0;
  for (int slice = 0; slice < slices; ++slice) {
    WaitForCopies<Tile::kStages - 2>();
    // Now the copies of all threads for this slice have arrived, and no thread reads the stage any more that the next
    // copy fills.
    __syncthreads();
    copy_next(slice + Tile::kStages - 1);
    if (slice_of_pair == 0 && problem.doubles[pair]) {
#pragma unroll
      for (auto& rows : sums.s) {
#pragma unroll
        for (auto& cells : rows) {
#pragma unroll
          for (int32_t& s : cells) s *= 2;
        }
      }
    }
    if (++slice_of_pair == slices_of_pair) {
      slice_of_pair = 0;
      ++pair;
    }
    MultiplySlice<Tile, Products>(shared + slice % Tile::kStages * Tile::kStageBytes, warp_row, warp_col, sums);
  }
  WaitForCopies<0>();
  epilogue.template Store<Tile>(row0 + warp_row, col0 + warp_col, sums);
}

// Computes S of all rows of a and `cols` columns: at least the rows of b, and more where the epilogue writes padding.
template <typename Tile, typename Products, typename Epilogue>
void LaunchTensorGemm(ExecContext& context, const char* name, const TensorProblem& problem, int64_t cols,
                      const Epilogue& epilogue) {
  const TileOrder order(problem.a.rows, cols, Tile::kBlockRows, Tile::kBlockCols);
  if (order.count() == 0) return;
  const LaunchShape shape = {dim3(static_cast<unsigned>(order.count())), dim3(Tile::kThreads),
                             Tile::kStages * Tile::kStageBytes};
  Launch(context, name, TensorGemmKernel<Tile, Products, Epilogue>, shape, problem, order, epilogue);
}

// Uses the large tile where it gives work to every multiprocessor of a large GPU, else the small one.
template <typename Products, typename Epilogue>
void TensorGemm(ExecContext& context, const char* name, const TensorProblem& problem, int64_t cols,
                const Epilogue& epilogue) {
  const int64_t large_tiles = ((problem.a.rows + 127) / 128) * ((cols + 127) / 128);
  if (large_tiles >= 132) {
    LaunchTensorGemm<LargeTile, Products>(context, name, problem, cols, epilogue);
  } else {
    LaunchTensorGemm<SmallTile, Products>(context, name, problem, cols, epilogue);
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_TENSOR_GEMM_H_
