#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

using CodeTableTest = KernelTest;

// A table whose rows of bits lie `row_bits` apart. What lies between rows is ones, which must not get into a result,
// and the planes end with the word of the last bit.
struct Table {
  Table(const KernelTest& test, Random& random, int bits, int64_t rows, int64_t cols, int64_t row_bits)
      : bits(bits), rows(rows), cols(cols), row_bits(row_bits), codes(RandomBytes(random, rows * cols, 1u << bits)) {
    for (int p = 0; p < bits; ++p) {
      const int64_t last = (rows - 1) * row_bits + cols;
      std::vector<uint64_t> words((last + 63) / 64, ~uint64_t{0});
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < cols; ++j) {
          const int64_t bit = i * row_bits + j;
          if ((codes[i * cols + j] >> p & 1) == 0) words[bit / 64] &= ~(uint64_t{1} << bit % 64);
        }
      }
      planes.emplace_back(test, std::move(words));
    }
  }
  ConstCodeTableView on(const ExecContext& context) const {
    ConstCodeTableView view = {.bits = bits, .row_bits = row_bits, .rows = rows, .cols = cols};
    for (int p = 0; p < bits; ++p) view.planes[p] = planes[p].on(context);
    return view;
  }

  int bits;
  int64_t rows, cols, row_bits;
  std::vector<uint8_t> codes;
  std::vector<Array<uint64_t>> planes;
};

// Tokens, the last row among them.
std::vector<int32_t> Tokens(Random& random, int64_t count, int64_t rows) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(random.Below(static_cast<uint32_t>(rows))));
  if (count > 1) tokens[1] = static_cast<int32_t>(rows - 1);
  return tokens;
}

TEST_P(CodeTableTest, GathersRows) {
  Random random(1);
  for (const int64_t cols : {1, 7, 8, 63, 64, 65, 127, 300, 511, 512, 513, 1000}) {
    // Rows of whole words, of a BitMatrix, without gaps, and with some.
    for (const int64_t row_bits : {BitMatrix::WordsPerRow(cols) * 64, cols, cols + 3}) {
      for (const int bits : {1, 2, 4, 8}) {
        for (const int64_t count : {0, 1, 20}) {
          SCOPED_TRACE(testing::Message() << cols << " columns, " << bits << " bits, " << count << " tokens");
          const Table table(*this, random, bits, 37, cols, row_bits);
          const Array<int32_t> tokens(*this, Tokens(random, count, 37));
          const Array<uint8_t> codes(*this, count * (cols + 5));
          const BitArray signs(*this, count, cols);
          Run([&](ExecContext& c, const Kernels& k) {
            k.gather_codes(c, table.on(c), tokens.on(c), codes.matrix(c, count, cols, cols + 5));
            if (bits == 1) k.gather_bits(c, table.on(c), tokens.on(c), signs.on(c));
          });
          const auto expected = [&](int64_t i, int64_t j) { return table.codes[tokens.initial(i) * cols + j]; };
          ExpectMatrix(codes, count, cols, cols + 5, expected);
          if (bits == 1) ExpectBits(signs, expected);
        }
      }
    }
  }
}

// Enough tokens for several threads.
TEST_P(CodeTableTest, GathersManyRows) {
  Random random(2);
  const int64_t count = GetParam().slow ? 100 : 3000;
  const Table table(*this, random, 1, 50, 70, 70);
  const Array<int32_t> tokens(*this, Tokens(random, count, 50));
  const Array<uint8_t> codes(*this, count * 70);
  const BitArray signs(*this, count, 70);
  Run([&](ExecContext& c, const Kernels& k) {
    k.gather_codes(c, table.on(c), tokens.on(c), codes.matrix(c, count, 70, 70));
    k.gather_bits(c, table.on(c), tokens.on(c), signs.on(c));
  });
  const auto expected = [&](int64_t i, int64_t j) { return table.codes[tokens.initial(i) * 70 + j]; };
  ExpectMatrix(codes, count, 70, 70, expected);
  ExpectBits(signs, expected);
}

BITGRAD_INSTANTIATE_ON_DEVICES(CodeTableTest);

}  // namespace
}  // namespace bitgrad
