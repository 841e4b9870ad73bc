// The statistics that quantizers take of a whole operand, or of each row. Limited by reading it once, 4 bytes per
// element.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "bitgrad/ops/cuda/bit_rows.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/magnitudes.h"
#include "bitgrad/ops/cuda/quads.h"
#include "bitgrad/ops/cuda/sums_over_rows.h"
#include "bitgrad/ops/kernels/scratch.h"
#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// The bits of floats that are not negative, taken as integers, are in the order of the floats. So their maximum is a
// maximum of integers, which does not depend on the order. NaNs are ignored.
__device__ int LargerMagnitude(int best, float x) {
  return fabsf(x) <= INFINITY ? max(best, __float_as_int(fabsf(x))) : best;
}

__device__ int LargestOfWarp(int best) {
  for (int delta = 16; delta > 0; delta /= 2) best = max(best, __shfl_xor_sync(0xffffffffu, best, delta));
  return best;
}

// largest[0], or with kPerRow largest[i] of each row, becomes the largest |x|. REQUIRES: `largest` is 0 before.
template <bool kPerRow>
__global__ void LargestMagnitudeKernel(ConstMatrixView<float> x, int* largest) {
  __shared__ int block_best;
  const int lane = threadIdx.x % 32;
  int best = 0;
  ForEachLine(x.rows, x.cols, [&](int64_t i, int64_t begin) {
    if (kPerRow) best = 0;
#pragma unroll 4
    for (int group = 0; group < kLineBits / 32; ++group) {
      const int64_t j = begin + group * 32 + lane;
      if (j < x.cols) best = LargerMagnitude(best, x.at(i, j));
    }
    if (kPerRow) {
      best = LargestOfWarp(best);
      if (lane == 0) atomicMax(&largest[i], best);
    }
  });
  if (kPerRow) return;
  if (threadIdx.x == 0) block_best = 0;
  __syncthreads();
  best = LargestOfWarp(best);
  if (lane == 0) atomicMax(&block_best, best);
  __syncthreads();
  if (threadIdx.x == 0) atomicMax(largest, block_best);
}

// The sum of all threads' values, always added in the same order; thread 0 gets it. `warps` is shared memory with one
// element per warp.
__device__ double SumOfBlock(double sum, double* warps) {
  for (int delta = 16; delta > 0; delta /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, delta);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0;
  if (threadIdx.x == 0) {
    for (unsigned w = 0; w < blockDim.x / 32; ++w) sum += warps[w];
  }
  return sum;
}

// sums[b] = the part of the sum that block b adds up. The elements of a part and their order depend on the extents
// only.
__global__ void SumMagnitudesKernel(ConstMatrixView<float> x, bool whole, double* sums) {
  __shared__ double warps[kThreads / 32];
  double sum = 0;
  ForEachQuad(x.rows, x.cols, [&](const Quad& quad) {
    const FourOf<float> four = LoadQuad(x, quad, whole);
    sum += (static_cast<double>(fabsf(four.value[0])) + static_cast<double>(fabsf(four.value[1]))) +
           (static_cast<double>(fabsf(four.value[2])) + static_cast<double>(fabsf(four.value[3])));
  });
  sum = SumOfBlock(sum, warps);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// *mean = (the sum of sums[0 .. count - 1]) / size. Runs as one block.
__global__ void MeanKernel(const double* sums, int64_t count, double size, float* mean) {
  __shared__ double warps[kThreads / 32];
  double sum = 0;
  ForEachElement(count, [&](int64_t i) { sum += sums[i]; });
  sum = SumOfBlock(sum, warps);
  if (threadIdx.x == 0) *mean = static_cast<float>(sum / size);
}

void MeanMagnitude(ExecContext& context, ConstMatrixView<float> x, float* mean) {
  LaunchShape shape = OverQuads(x.rows, x.cols);
  shape.blocks.x = std::min(shape.blocks.x, 1024u);
  const Scratch<double> sums(context, shape.blocks.x);
  Launch(context, "quantize_statistic", SumMagnitudesKernel, shape, x, HasWholeQuads(x), sums.data());
  Launch(context, "quantize_statistic", MeanKernel, LaunchShape{dim3(1), dim3(kThreads)}, sums.data(),
         static_cast<int64_t>(shape.blocks.x), static_cast<double>(x.size()), mean);
}

template <bool kPerRow>
void LargestMagnitude(ExecContext& context, ConstMatrixView<float> x, float* largest) {
  context.allocator().Zero(largest, (kPerRow ? x.rows : 1) * sizeof(float));
  // Rows without gaps between them can be treated as a single row.
  if (!kPerRow && x.contiguous()) x = {x.data, 1, x.size()};
  if (x.size() == 0) return;
  Launch(context, "quantize_statistic", LargestMagnitudeKernel<kPerRow>, OverLines(x.rows, x.cols), x,
         reinterpret_cast<int*>(largest));
}

}  // namespace

void MeanMagnitudes(ExecContext& context, Granularity granularity, ConstMatrixView<float> x, float* mean) {
  const bool per_row = granularity == Granularity::kRow;
  if (x.size() == 0) return context.allocator().Zero(mean, (per_row ? x.rows : 1) * sizeof(float));
  if (!per_row) return MeanMagnitude(context, x, mean);
  const double count = static_cast<double>(x.cols);
  SumOverRows(
      context, "quantize_statistic", x.rows, x.cols,
      [=] __device__(int64_t i, int64_t j) { return static_cast<double>(fabsf(x.at(i, j))); },
      [=] __device__(int64_t i, double sum) { mean[i] = static_cast<float>(sum / count); });
}

void LargestMagnitudes(ExecContext& context, Granularity granularity, ConstMatrixView<float> x, float* largest) {
  if (granularity == Granularity::kRow) return LargestMagnitude<true>(context, x, largest);
  LargestMagnitude<false>(context, x, largest);
}

void QuantizeStatistic(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x, float* statistic) {
  const Granularity granularity = quantizer.granularity();
  switch (quantizer.statistic()) {
    case Statistic::kNone: return;
    case Statistic::kMeanAbs: return MeanMagnitudes(context, granularity, x, statistic);
    case Statistic::kMaxAbs: return LargestMagnitudes(context, granularity, x, statistic);
    case Statistic::kMaxAbsTanh:
      // tanh is monotone and odd, so the largest |tanh x| is the tanh of the largest |x|.
      LargestMagnitudes(context, granularity, x, statistic);
      return ForElements(context, "quantize_statistic", granularity == Granularity::kRow ? x.rows : 1,
                         [=] __device__(int64_t i) { statistic[i] = Tanh(statistic[i]); });
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
