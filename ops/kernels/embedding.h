// Rows of a table, float32, by index: the forward pass of an embedding, and its gradient, which has the table's rows
// that occur and no others.

#ifndef BITGRAD_OPS_KERNELS_EMBEDDING_H_
#define BITGRAD_OPS_KERNELS_EMBEDDING_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

// y[i] = table[ids[i]].   ids [y.rows] in [0, table.rows); table [n, width], y [y.rows, width]
using EmbeddingForward = void(ExecContext& context, const int32_t* ids, ConstMatrixView<float> table,
                              MatrixView<float> y);

// The gradient of the table, by rows: values[i] belongs to row rows[i] of the table. Where an id occurs several times,
// its first position owns the row, rows[i] = ids[i], and has the sum over all of them, added in the order of positions.
// The other positions have rows[i] = -1 and zeros. So each row is there once, and the result has the shape of dy.
//   ids, rows [dy.rows]; dy, values [dy.rows, width]. REQUIRES: ids >= 0.
using EmbeddingBackward = void(ExecContext& context, const int32_t* ids, ConstMatrixView<float> dy, int32_t* rows,
                               MatrixView<float> values);

// y[rows[i]] += x[i] for all i with rows[i] >= 0.   rows [x.rows]; x [x.rows, width], y [n, width].
// REQUIRES: rows < n, and those that are not negative are distinct.
using AddToRows = void(ExecContext& context, const int32_t* rows, ConstMatrixView<float> x, MatrixView<float> y);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_EMBEDDING_H_
