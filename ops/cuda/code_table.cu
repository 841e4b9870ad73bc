// Rows of a table of codes in bit planes. Limited by memory and launches: the rows of a few tokens are some kilobytes.

#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/code_table.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

void GatherCodes(ExecContext& context, const ConstCodeTableView& table, const int32_t* rows,
                 MatrixView<uint8_t> codes) {
  ForCells(context, "gather_codes", codes.rows, codes.cols, [=] __device__(int64_t i, int64_t j) {
    const int64_t bit = rows[i] * table.row_bits + j;
    int c = 0;
    for (int p = 0; p < table.bits; ++p) c |= static_cast<int>(table.planes[p][bit / 64] >> bit % 64 & 1) << p;
    codes.row(i)[j] = static_cast<uint8_t>(c);
  });
}

void GatherBits(ExecContext& context, const ConstCodeTableView& table, const int32_t* rows, BitMatrixView bits) {
  const int64_t words = BitMatrix::WordsPerRow(table.cols);
  ForCells(context, "gather_bits", bits.rows, words, [=] __device__(int64_t i, int64_t word) {
    const int64_t count = table.cols - word * 64;  // of bits from this word on
    uint64_t result = 0;
    if (count > 0) {
      const int64_t first = rows[i] * table.row_bits + word * 64;
      const int64_t shift = first % 64;
      const uint64_t* const from = table.planes[0] + first / 64;
      result = from[0] >> shift;
      // No word is read that has none of the bits.
      if (shift + (count < 64 ? count : 64) > 64) result |= from[1] << (64 - shift);
      if (count < 64) result &= (uint64_t{1} << count) - 1;
    }
    bits.row(i)[word] = result;
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
