// Quantization of gradients to int8, for the integer products of the backward pass. A row is read twice: for its
// largest magnitude, and for its codes. One block works on one row, so that the second read finds it in a cache, and 5
// bytes per element go to or come from memory; 9 where columns become rows. The random numbers, one block per four
// elements, take about as much time.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/quads.h"
#include "bitgrad/ops/kernels/scratch.h"
#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// What the kernels gather of a row. The bits of floats that are not negative, taken as integers, are in the order of
// the floats.
struct RowMagnitude {
  int largest = 0;  // the bits of max |x|; NaNs are ignored
  int has_nan = 0;

  __device__ void Add(float x) {
    if (x == x) {
      largest = max(largest, __float_as_int(fabsf(x)));
    } else {
      has_nan = 1;
    }
  }
};

// As Quantizer::scale(); NaN where the row has a NaN: the codes could not show it.
template <typename Q>
__device__ float ScaleOf(const QuantizerArgs& args, const RowMagnitude& row) {
  return row.has_nan != 0 ? NAN : args.fixed_scale * __int_as_float(row.largest) / Q::ScaleDivisor(args);
}

template <typename Q>
__device__ int8_t CodeOf(float x, const QuantizerArgs& args, float statistic, uint32_t random) {
  return static_cast<int8_t>(
      static_cast<int32_t>(Q::Code(x, args, QuantizerNumbers{statistic, 0.0f}, ToUniform(random))));
}

__device__ bool IsAligned(const void* p, uintptr_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

// One block per row.
template <typename Q>
__global__ void QuantizeRowsKernel(QuantizerArgs args, ConstMatrixView<float> x, RngStream given_rng,
                                   MatrixView<int8_t> codes, float* scale) {
  const RngStream rng = StepOnDevice(given_rng);
  __shared__ int largest;
  const int64_t i = blockIdx.x;
  const float* const row = x.row(i);
  RowMagnitude mine;
#pragma unroll 4
  for (int64_t j = threadIdx.x; j < x.cols; j += blockDim.x) mine.Add(row[j]);
  if (threadIdx.x == 0) largest = 0;
  const int has_nan = __syncthreads_or(mine.has_nan);
  for (int delta = 16; delta > 0; delta /= 2) {
    mine.largest = max(mine.largest, __shfl_xor_sync(0xffffffffu, mine.largest, delta));
  }
  if (threadIdx.x % 32 == 0) atomicMax(&largest, mine.largest);
  __syncthreads();
  const RowMagnitude all = {largest, has_nan};
  if (threadIdx.x == 0) scale[i] = ScaleOf<Q>(args, all);
  const float statistic = __int_as_float(all.largest);

  // Blocks of random numbers belong to four consecutive element numbers, and a row may begin within such a block.
  const int64_t first = i * x.cols;
  for (int64_t block = first / 4 + threadIdx.x; block * 4 < first + x.cols; block += blockDim.x) {
    const RngBlock random = RandomBlock(rng, static_cast<uint64_t>(block));
    const int64_t j = block * 4 - first;
    int8_t* const out = codes.row(i) + j;
    if (j >= 0 && j + 4 <= x.cols && IsAligned(row + j, 16) && IsAligned(out, 4)) {
      const FourOf<float> in = *reinterpret_cast<const FourOf<float>*>(row + j);
      FourOf<int8_t> four;
#pragma unroll
      for (int k = 0; k < 4; ++k) four.value[k] = CodeOf<Q>(in.value[k], args, statistic, random.word[k]);
      *reinterpret_cast<FourOf<int8_t>*>(out) = four;
    } else {
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        if (j + k >= 0 && j + k < x.cols) out[k] = CodeOf<Q>(row[j + k], args, statistic, random.word[k]);
      }
    }
  }
}

// For columns that become rows: one kernel takes the magnitudes of 32 columns of kStrip rows per warp, then another
// transposes tiles of kTileRows rows, one per block.
constexpr int kStrip = 64;
constexpr int kTileCols = 32;
constexpr int kTileRows = 128;

__global__ void ColumnMagnitudesKernel(ConstMatrixView<float> x, RowMagnitude* columns) {
  const int64_t strips = (x.rows + kStrip - 1) / kStrip, groups = (x.cols + 31) / 32;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x / 32;
  for (int64_t unit = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32; unit < strips * groups;
       unit += step) {
    const int64_t begin = unit / groups * kStrip, end = begin + kStrip < x.rows ? begin + kStrip : x.rows;
    const int64_t j = unit % groups * 32 + threadIdx.x % 32;
    if (j >= x.cols) continue;
    RowMagnitude column;
#pragma unroll 8
    for (int64_t i = begin; i < end; ++i) column.Add(x.at(i, j));
    atomicMax(&columns[j].largest, column.largest);
    if (column.has_nan != 0) atomicOr(&columns[j].has_nan, 1);
  }
}

template <typename Q>
__global__ void QuantizeColumnsKernel(QuantizerArgs args, ConstMatrixView<float> x, RngStream given_rng,
                                      const RowMagnitude* columns, MatrixView<int8_t> codes, float* scale) {
  const RngStream rng = StepOnDevice(given_rng);
  // A row of the tile is a column of x. It has one more element than it needs, so that lanes write to different banks.
  __shared__ float tile[kTileCols][kTileRows + 1];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const int64_t groups = (x.cols + kTileCols - 1) / kTileCols;
  for (int64_t unit = blockIdx.x; unit < groups * ((x.rows + kTileRows - 1) / kTileRows); unit += gridDim.x) {
    const int64_t i0 = unit / groups * kTileRows, j0 = unit % groups * kTileCols;
#pragma unroll 4
    for (int r = warp; r < kTileRows; r += warps) {
      tile[lane][r] = i0 + r < x.rows && j0 + lane < x.cols ? x.at(i0 + r, j0 + lane) : 0.0f;
    }
    __syncthreads();
    for (int c = warp; c < kTileCols && j0 + c < x.cols; c += warps) {
      const int64_t j = j0 + c, i = i0 + 4 * lane;  // this lane makes the codes of rows i .. i + 3
      const RowMagnitude column = columns[j];
      if (i == 0) scale[j] = ScaleOf<Q>(args, column);
      if (i >= x.rows) continue;
      const uint64_t first = static_cast<uint64_t>(j * x.rows + i);
      const RngBlock random = RandomBlock(rng, first / 4),
                     next = first % 4 == 0 ? random : RandomBlock(rng, first / 4 + 1);
      FourOf<int8_t> four;
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const int at = static_cast<int>(first % 4) + k;
        uint32_t word = 0;
#pragma unroll
        for (int w = 0; w < 7; ++w) {
          word = at == w ? (w < 4 ? random : next).word[w % 4] : word;  // registers cannot be indexed by `at`
        }
        four.value[k] = CodeOf<Q>(tile[c][4 * lane + k], args, __int_as_float(column.largest), word);
      }
      int8_t* const out = codes.row(j) + i;
      if (i + 4 <= x.rows && IsAligned(out, 4)) {
        *reinterpret_cast<FourOf<int8_t>*>(out) = four;
      } else {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          if (i + k < x.rows) out[k] = four.value[k];
        }
      }
    }
    __syncthreads();
  }
}

template <typename Q>
void LaunchRows(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x, const RngStream& rng,
                MatrixView<int8_t> codes, float* scale) {
  if (x.rows == 0) return;
  const int64_t threads = std::clamp<int64_t>((x.cols / 4 + 31) / 32 * 32, 32, kThreads);
  Launch(context, "quantize_rows_s8", QuantizeRowsKernel<Q>,
         LaunchShape{dim3(static_cast<unsigned>(x.rows)), dim3(static_cast<unsigned>(threads))}, quantizer.args(), x,
         rng, codes, scale);
}

template <typename Q>
void LaunchColumns(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x, const RngStream& rng,
                   MatrixView<int8_t> codes, float* scale) {
  if (x.size() == 0) return LaunchRows<Q>(context, quantizer, {x.data, x.cols, 0}, rng, codes, scale);
  const Scratch<RowMagnitude> columns(context, x.cols);
  context.allocator().Zero(columns.data(), x.cols * sizeof(RowMagnitude));
  const int64_t strips = (x.rows + kStrip - 1) / kStrip * ((x.cols + 31) / 32);
  Launch(context, "quantize_rows_s8", ColumnMagnitudesKernel, OverElements(strips * 32), x, columns.data());
  const int64_t tiles = (x.rows + kTileRows - 1) / kTileRows * ((x.cols + kTileCols - 1) / kTileCols);
  Launch(context, "quantize_rows_s8", QuantizeColumnsKernel<Q>, OverElements(tiles * kThreads), quantizer.args(), x,
         rng, columns.data(), codes, scale);
}

}  // namespace

void QuantizeRowsS8(ExecContext& context, const Quantizer& quantizer, bool transpose, ConstMatrixView<float> x,
                    const RngStream& rng, MatrixView<int8_t> codes, float* scale) {
  BITGRAD_DCHECK(quantizer.statistic() == Statistic::kMaxAbs && quantizer.granularity() == Granularity::kRow);
  BITGRAD_DCHECK(quantizer.encoding().kind == EncodingKind::kSigned && quantizer.info().stochastic);
  BITGRAD_DCHECK(codes.rows == (transpose ? x.cols : x.rows) && codes.cols == (transpose ? x.rows : x.cols));
  DispatchQuantizer(quantizer.info(), [&]<typename Q>() {
    if constexpr (Q::kStochastic) {
      if (transpose) {
        LaunchColumns<Q>(context, quantizer, x, rng, codes, scale);
      } else {
        LaunchRows<Q>(context, quantizer, x, rng, codes, scale);
      }
    }
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
