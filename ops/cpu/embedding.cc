#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"

namespace bitgrad::cpu {
namespace {

// y += x. Each element by itself, so that it has the same bits on every instruction set.
void AddRow(const float* x, float* y, int64_t count) {
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) y[j] += x[j];
}

}  // namespace

void EmbeddingForward(ExecContext& context, const int32_t* ids, ConstMatrixView<float> table, MatrixView<float> y) {
  BITGRAD_DCHECK(table.cols == y.cols);
  if (y.cols == 0) return;
  ParallelFor(context.threads(), y.rows, RowGrain(y.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      BITGRAD_DCHECK(ids[i] >= 0 && ids[i] < table.rows);
      std::memcpy(y.row(i), table.row(ids[i]), y.cols * sizeof(float));
    }
  });
}

void EmbeddingBackward(ExecContext& context, const int32_t* ids, ConstMatrixView<float> dy, int32_t* rows,
                       MatrixView<float> values) {
  BITGRAD_DCHECK(values.rows == dy.rows && values.cols == dy.cols);
  const int64_t count = dy.rows;
  // The positions by id, those of one id in their order.
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(),
            [ids](int64_t a, int64_t b) { return ids[a] != ids[b] ? ids[a] < ids[b] : a < b; });
  const auto is_first = [&](int64_t k) { return k == 0 || ids[order[k]] != ids[order[k - 1]]; };
  ParallelFor(context.threads(), count, RowGrain(dy.cols), [&](int64_t begin, int64_t end) {
    // A thread has the ids that begin in its part.
    int64_t k = begin;
    while (k < end && !is_first(k)) ++k;
    for (int64_t owner = -1; k < count && (k < end || !is_first(k)); ++k) {
      const int64_t i = order[k];
      if (is_first(k)) {
        owner = i;
        rows[i] = ids[i];
        std::copy_n(dy.row(i), dy.cols, values.row(i));
      } else {
        rows[i] = -1;
        std::fill_n(values.row(i), dy.cols, 0.0f);
        AddRow(dy.row(i), values.row(owner), dy.cols);
      }
    }
  });
}

void AddToRows(ExecContext& context, const int32_t* rows, ConstMatrixView<float> x, MatrixView<float> y) {
  BITGRAD_DCHECK(x.cols == y.cols);
  ParallelFor(context.threads(), x.rows, RowGrain(x.cols), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      BITGRAD_DCHECK(rows[i] < y.rows);
      if (rows[i] >= 0) AddRow(x.row(i), y.row(rows[i]), x.cols);
    }
  });
}

}  // namespace bitgrad::cpu
