// The main loop of the packed product with Hopper's warpgroup instructions: S(i, j) = popcount(a_i & b_j).
//
// A block computes 256 x 128 cells of S. A producer warpgroup starts tensor copies of slices of 1,024 bits of K into a
// ring of four stages of 48 KiB. Two consumer warpgroups multiply them, each 128 rows in two strips of 64. Two rings of
// barriers tell which stages are full and which are free. A block stays on its multiprocessor and computes tile after
// tile, so that the producer can fetch the next tile's slices while the consumers store.
//
// Limits (H200): 32,768 bit products per cycle and multiprocessor, 15.8 POPS at 1.83 GHz. A stage is 48 KiB for 256 x
// 128 x 1,024 products, 1,024 cycles: 48 bytes per cycle and multiprocessor from the L2 cache, about 11.4 TB/s over the
// GPU at that rate. That is more than the 8 TB/s that others have measured, so the copies are expected to be the limit.

#ifndef BITGRAD_OPS_CUDA_WGMMA_GEMM_H_
#define BITGRAD_OPS_CUDA_WGMMA_GEMM_H_

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"
#include "bitgrad/ops/cuda/tensor_map.h"
#include "bitgrad/ops/cuda/wgmma.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

struct WgmmaTile {
  static constexpr int kRows = 256, kCols = 128;
  static constexpr int kConsumers = 2, kStrips = 2;  // kConsumers * kStrips * 64 = kRows
  static constexpr int kThreads = (kConsumers + 1) * 128;
  static constexpr int kStages = 4;
  static constexpr int kSliceBytes = 128;
  static constexpr int kStageBytes = (kRows + kCols) * kSliceBytes;
  // The stages come first, aligned to 1,024 bytes, then the barriers.
  static constexpr int kSharedBytes = kStages * kStageBytes + 2 * kStages * 8;
};

// The part of a tile that an epilogue of gemm_epilogues.h takes at a time: 16 rows and 32 columns.
struct WgmmaPart {
  static constexpr int kWarpRows = 16, kWarpCols = 32;
};

template <typename Epilogue>
__global__ void __launch_bounds__(WgmmaTile::kThreads, 1)
    WgmmaGemmKernel(const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b, TileOrder order,
                    int slices, Epilogue epilogue) {
#if BITGRAD_HAS_WGMMA
  using Tile = WgmmaTile;
  BITGRAD_DYNAMIC_SHARED(shared);
  auto* const full = reinterpret_cast<uint64_t*>(shared + Tile::kStages * Tile::kStageBytes);
  uint64_t* const free = full + Tile::kStages;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < Tile::kStages; ++stage) {
      InitBarrier(&full[stage], 1);
      InitBarrier(&free[stage], Tile::kConsumers * 4);  // one thread of each consumer warp arrives
    }
    FenceBarriers();
  }
  __syncthreads();

  const int group = static_cast<int>(threadIdx.x) / 128;
  if (group == Tile::kConsumers) {
    ReleaseRegisters<40>();
    if (threadIdx.x % 128 != 0) return;
    int stage = 0, round = 0;
    for (int tile = static_cast<int>(blockIdx.x); tile < order.count(); tile += static_cast<int>(gridDim.x)) {
      int row, col;
      order.Find(tile, row, col);
      for (int slice = 0; slice < slices; ++slice) {
        if (round > 0) WaitForPhase(&free[stage], (round - 1) & 1);
        unsigned char* const to = shared + stage * Tile::kStageBytes;
        ArriveAndExpect(&full[stage], Tile::kStageBytes);
        CopyTile(to, &map_a, slice * Tile::kSliceBytes, row * Tile::kRows, &full[stage]);
        CopyTile(to + Tile::kRows * Tile::kSliceBytes, &map_b, slice * Tile::kSliceBytes, col * Tile::kCols,
                 &full[stage]);
        if (++stage == Tile::kStages) {
          stage = 0;
          ++round;
        }
      }
    }
    return;
  }

  TakeRegisters<232>();
  const int warp = static_cast<int>(threadIdx.x) % 128 / 32;
  const bool first_lane = threadIdx.x % 32 == 0;
  int stage = 0, round = 0;
  for (int tile = static_cast<int>(blockIdx.x); tile < order.count(); tile += static_cast<int>(gridDim.x)) {
    int row, col;
    order.Find(tile, row, col);
    int32_t sums[Tile::kStrips][64];
    if (slices == 0) {
#pragma unroll
      for (auto& strip : sums) {
#pragma unroll
        for (int32_t& s : strip) s = 0;
      }
    }
    int previous = 0;
    for (int slice = 0; slice < slices; ++slice) {
      WaitForPhase(&full[stage], round & 1);
      const unsigned char* const from = shared + stage * Tile::kStageBytes;
      const uint64_t a = TileDescriptor(from + group * Tile::kStrips * 64 * Tile::kSliceBytes);
      const uint64_t b = TileDescriptor(from + Tile::kRows * Tile::kSliceBytes);
      FenceProducts();
#pragma unroll
      for (int step = 0; step < Tile::kSliceBytes / 32; ++step) {
#pragma unroll
        for (int strip = 0; strip < Tile::kStrips; ++strip) {
          // Descriptors are in units of 16 bytes.
          MultiplyBits64x128(sums[strip], a + strip * (64 * Tile::kSliceBytes / 16) + step * 2, b + step * 2,
                             slice > 0 || step > 0);
        }
      }
      CommitProducts();
      // Then the products of the slice before are finished, and its stage is free.
      WaitForProducts<1>();
      if (slice > 0 && first_lane) Arrive(&free[previous]);
      previous = stage;
      if (++stage == Tile::kStages) {
        stage = 0;
        ++round;
      }
    }
    WaitForProducts<0>();
    if (slices > 0 && first_lane) Arrive(&free[previous]);

#pragma unroll
    for (int strip = 0; strip < Tile::kStrips; ++strip) {
      const int64_t row0 = int64_t{row} * Tile::kRows + (group * Tile::kStrips + strip) * 64 + warp * 16;
#pragma unroll
      for (int part = 0; part < Tile::kCols / WgmmaPart::kWarpCols; ++part) {
        WarpSums<WgmmaPart> cells;
#pragma unroll
        for (int t = 0; t < 4; ++t) {
#pragma unroll
          for (int k = 0; k < 4; ++k) cells.s[0][t][k] = sums[strip][part * 16 + t * 4 + k];
        }
        epilogue.template Store<WgmmaPart>(row0, int64_t{col} * Tile::kCols + part * WgmmaPart::kWarpCols, cells);
      }
    }
  }
#endif
}

// Whether this GPU has these instructions and the product has enough tiles to use them.
bool UsesWgmma(const TensorProblem& problem, int64_t cols);

// Computes S of all rows of a and `cols` columns, as TensorGemm() does. REQUIRES: UsesWgmma(); one pair of planes.
template <typename Epilogue>
void WgmmaGemm(ExecContext& context, const char* name, const TensorProblem& problem, int64_t cols,
               const Epilogue& epilogue) {
  const TileOrder order(problem.a.rows, cols, WgmmaTile::kRows, WgmmaTile::kCols);
  const TensorMap a = MakeTensorMap(context, problem.a, problem.row_bytes, WgmmaTile::kRows);
  const TensorMap b = MakeTensorMap(context, problem.b, problem.row_bytes, WgmmaTile::kCols);
  const LaunchShape shape = {dim3(static_cast<unsigned>(std::min(order.count(), Multiprocessors()))),
                             dim3(WgmmaTile::kThreads), WgmmaTile::kSharedBytes};
  const int slices = static_cast<int>((problem.row_bytes + WgmmaTile::kSliceBytes - 1) / WgmmaTile::kSliceBytes);
  Launch(context, name, WgmmaGemmKernel<Epilogue>, shape, a, b, order, slices, epilogue);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_WGMMA_GEMM_H_
