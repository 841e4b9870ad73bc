// Sums. All read each element once, 4 bytes, and have no other memory traffic that counts.

#include <cstdint>

#include "bitgrad/ops/cuda/block_sum.h"
#include "bitgrad/ops/cuda/column_sums.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// ---- Sums of squares of several arrays: the blocks of a grid add up chunks of the arrays, then one block per array
// adds up the sums of its chunks.

constexpr int64_t kSquaresChunk = 32 * kThreads;
constexpr int kMostArrays = 64;
struct ArrayTable {
  const float* data[kMostArrays];
  int64_t counts[kMostArrays];
  int32_t first_chunks[kMostArrays + 1];  // one more than arrays: the last is the number of all chunks
  int32_t count = 0;
};
static_assert(sizeof(ArrayTable) <= 4096 - 64);

__global__ void SquaresOfChunksKernel(const __grid_constant__ ArrayTable table, double* partials) {
  const auto chunk = static_cast<int32_t>(blockIdx.x);
  int array = 0;
  while (chunk >= table.first_chunks[array + 1]) ++array;
  const int64_t begin = (chunk - table.first_chunks[array]) * kSquaresChunk;
  const int64_t size = min(kSquaresChunk, table.counts[array] - begin);
  const float* const x = table.data[array] + begin;
  const int64_t fours = reinterpret_cast<uintptr_t>(x) % sizeof(float4) == 0 ? size / 4 : 0;
  const auto square = [](float v) { return static_cast<double>(v) * v; };
  double sum = 0;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < fours; i += kThreads) {
    const float4 v = reinterpret_cast<const float4*>(x)[i];
    sum += (square(v.x) + square(v.y)) + (square(v.z) + square(v.w));
  }
  for (int64_t i = 4 * fours + threadIdx.x; i < size; i += kThreads) sum += square(x[i]);
  sum = BlockSum(sum);
  if (threadIdx.x == 0) partials[chunk] = sum;
}

// One block per array.
__global__ void SumsOfChunksKernel(const __grid_constant__ ArrayTable table, const double* partials, double* y) {
  double sum = 0;
  for (int32_t chunk = table.first_chunks[blockIdx.x] + static_cast<int32_t>(threadIdx.x);
       chunk < table.first_chunks[blockIdx.x + 1]; chunk += kThreads) {
    sum += partials[chunk];
  }
  sum = BlockSum(sum);
  if (threadIdx.x == 0) y[blockIdx.x] = sum;
}

}  // namespace

void SumRows(ExecContext& context, ConstMatrixView<float> x, bool accumulate, float* y) {
  SumColumns<1>(
      context, "sum_rows", x.rows, x.cols,
      [=] __device__(int64_t i, int64_t j, double* sums) { sums[0] += x.at(i, j); },
      [=] __device__(int64_t j, const double* sums) {
        y[j] = static_cast<float>(accumulate ? y[j] + sums[0] : sums[0]);
      });
}

void SumAll(ExecContext& context, const float* x, int64_t count, float scale, float* y) {
  SumOverGrid(
      context, "sum_all", SumBlocks(count),
      [=] __device__() { return SumOfElements(x, count, [](float v) { return static_cast<double>(v); }); },
      [=] __device__(double sum) { *y = static_cast<float>(scale * sum); });
}

void SumsOfSquares(ExecContext& context, absl::Span<const absl::Span<const float>> arrays, double* y) {
  for (size_t first = 0; first < arrays.size(); first += kMostArrays) {
    ArrayTable table;
    int64_t chunks = 0;
    for (const absl::Span<const float> array : arrays.subspan(first, kMostArrays)) {
      const auto size = static_cast<int64_t>(array.size());
      table.data[table.count] = array.data();
      table.counts[table.count] = size;
      table.first_chunks[table.count++] = static_cast<int32_t>(chunks);
      chunks += (size + kSquaresChunk - 1) / kSquaresChunk;
    }
    table.first_chunks[table.count] = static_cast<int32_t>(chunks);
    const Scratch<double> partials(context, chunks);
    if (chunks > 0) {
      Launch(context, "sums_of_squares", SquaresOfChunksKernel, {dim3(static_cast<unsigned>(chunks)), dim3(kThreads)},
             table, partials.data());
    }
    Launch(context, "sums_of_squares", SumsOfChunksKernel, {dim3(static_cast<unsigned>(table.count)), dim3(kThreads)},
           table, static_cast<const double*>(partials.data()), y + first);
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
