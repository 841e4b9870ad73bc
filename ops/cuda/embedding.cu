// Rows of a table by index. Limited by memory; which positions have the same id is found by comparing each with all
// others, a warp for each position, which for the thousands of tokens of a step takes a few microseconds.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

constexpr int kWarps = kThreads / 32;

// rows[i] = ids[i] where no earlier position has this id, else -1; next[i] is the next position that has it, or -1.
__global__ void __launch_bounds__(kThreads)
    LinkPositionsKernel(const int32_t* ids, int64_t count, int32_t* rows, int32_t* next) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kWarps;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / 32; i < count; i += step) {
    const int32_t id = ids[i];
    bool is_first = true;
    for (int64_t begin = 0; begin < i && is_first; begin += 32) {
      const int64_t j = begin + lane;
      is_first = !__any_sync(0xffffffffu, j < i && ids[j] == id);
    }
    int64_t following = -1;
    for (int64_t begin = i + 1; begin < count && following < 0; begin += 32) {
      const int64_t j = begin + lane;
      const unsigned lanes = __ballot_sync(0xffffffffu, j < count && ids[j] == id);
      if (lanes != 0) following = begin + __ffs(static_cast<int>(lanes)) - 1;
    }
    if (lane == 0) {
      rows[i] = is_first ? id : -1;
      next[i] = static_cast<int32_t>(following);
    }
  }
}

}  // namespace

void EmbeddingForward(ExecContext& context, const int32_t* ids, ConstMatrixView<float> table, MatrixView<float> y) {
  BITGRAD_DCHECK(table.cols == y.cols);
  ForCells(context, "embedding_forward", y.rows, y.cols,
           [=] __device__(int64_t i, int64_t j) { y.at(i, j) = table.at(ids[i], j); });
}

void EmbeddingBackward(ExecContext& context, const int32_t* ids, ConstMatrixView<float> dy, int32_t* rows,
                       MatrixView<float> values) {
  BITGRAD_DCHECK(values.rows == dy.rows && values.cols == dy.cols);
  if (dy.rows == 0) return;
  const Scratch<int32_t> next(context, dy.rows);
  int32_t* const links = next.data();
  Launch(context, "embedding_backward", LinkPositionsKernel, OverElements(32 * dy.rows), ids, dy.rows, rows, links);
  ForCells(context, "embedding_backward", dy.rows, dy.cols, [=] __device__(int64_t i, int64_t j) {
    float sum = 0;
    if (rows[i] >= 0) {
      sum = dy.at(i, j);
      for (int64_t k = links[i]; k >= 0; k = links[k]) sum += dy.at(k, j);
    }
    values.at(i, j) = sum;
  });
}

void AddToRows(ExecContext& context, const int32_t* rows, ConstMatrixView<float> x, MatrixView<float> y) {
  BITGRAD_DCHECK(x.cols == y.cols);
  ForCells(context, "add_to_rows", x.rows, x.cols, [=] __device__(int64_t i, int64_t j) {
    if (rows[i] >= 0) y.at(rows[i], j) += x.at(i, j);
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
