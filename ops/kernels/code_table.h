// Rows of a table of codes that stays in bit planes: the embeddings of tokens in a packed model.

#ifndef BITGRAD_OPS_KERNELS_CODE_TABLE_H_
#define BITGRAD_OPS_KERNELS_CODE_TABLE_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad {

// Stored codes (core/encoding.h) c [rows, cols]: bit p of c[i, j] is bit i * row_bits + j of plane p, counted from the
// least significant bit of the plane's first word. In a BitMatrix row_bits is a multiple of 512; a table whose rows lie
// one behind the other without gaps has row_bits = cols.
struct ConstCodeTableView {
  const uint64_t* planes[kMaxCodeBits] = {};
  int bits = 0;  // the number of planes
  int64_t row_bits = 0;
  int64_t rows = 0;
  int64_t cols = 0;
};

// codes[i, j] = c[rows[i], j].   rows [m], each in 0 .. table.rows - 1; codes [m, table.cols] uint8
using GatherCodes = void(ExecContext& context, const ConstCodeTableView& table, const int32_t* rows,
                         MatrixView<uint8_t> codes);

// The same for a table of one plane, as bits. REQUIRES: table.bits == 1; bits.ones is null.   bits [m, table.cols]
using GatherBits = void(ExecContext& context, const ConstCodeTableView& table, const int32_t* rows, BitMatrixView bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_CODE_TABLE_H_
