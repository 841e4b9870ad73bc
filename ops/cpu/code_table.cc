#include <algorithm>
#include <cstdint>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/kernels/code_table.h"

namespace bitgrad::cpu {
namespace {

constexpr int64_t kMinElements = 1 << 14;  // the least number of elements that is worth another thread

// The `count` <= 64 bits of a plane from bit `begin` on, the others zero. Reads no word without one of them.
uint64_t BitsFrom(const uint64_t* plane, int64_t begin, int64_t count) {
  const int64_t word = begin / 64, shift = begin % 64;
  uint64_t bits = plane[word] >> shift;
  if (shift + count > 64) bits |= plane[word + 1] << (64 - shift);
  return count == 64 ? bits : bits & ((uint64_t{1} << count) - 1);
}

// Byte j of the result is bit j.
uint64_t BytesOfBits(uint64_t eight_bits) {
  const uint64_t in_place = (eight_bits & 0xff) * 0x0101010101010101u & 0x8040201008040201u;
  return (in_place + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
}

template <typename RowFunction>
void ForRows(ExecContext& context, int64_t rows, int64_t cols, const RowFunction& function) {
  ParallelFor(context.threads(), rows, std::max<int64_t>(1, kMinElements / std::max<int64_t>(1, cols)),
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) function(i);
              });
}

}  // namespace

void GatherCodes(ExecContext& context, const ConstCodeTableView& table, const int32_t* rows,
                 MatrixView<uint8_t> codes) {
  BITGRAD_DCHECK(codes.cols == table.cols && table.bits >= 1 && table.bits <= kMaxCodeBits);
  ForRows(context, codes.rows, codes.cols, [&](int64_t i) {
    const int64_t first = rows[i] * table.row_bits;
    uint8_t* const out = codes.row(i);
    for (int64_t j = 0; j < table.cols; j += 64) {
      const int64_t count = std::min<int64_t>(64, table.cols - j);
      uint64_t words[kMaxCodeBits];
      for (int p = 0; p < table.bits; ++p) words[p] = BitsFrom(table.planes[p], first + j, count);
      for (int64_t k = 0; k < count; k += 8) {
        uint64_t eight = 0;
        for (int p = 0; p < table.bits; ++p) eight |= BytesOfBits(words[p] >> k) << p;
        std::memcpy(out + j + k, &eight, static_cast<size_t>(std::min<int64_t>(8, count - k)));
      }
    }
  });
}

void GatherBits(ExecContext& context, const ConstCodeTableView& table, const int32_t* rows, BitMatrixView bits) {
  BITGRAD_DCHECK(bits.cols == table.cols && table.bits == 1 && bits.ones == nullptr);
  ForRows(context, bits.rows, bits.cols, [&](int64_t i) {
    const int64_t first = rows[i] * table.row_bits;
    uint64_t* const out = bits.row(i);
    int64_t word = 0;
    for (; word * 64 < table.cols; ++word) {
      out[word] = BitsFrom(table.planes[0], first + word * 64, std::min<int64_t>(64, table.cols - word * 64));
    }
    std::fill(out + word, out + BitMatrix::WordsPerRow(table.cols), uint64_t{0});
  });
}

}  // namespace bitgrad::cpu
