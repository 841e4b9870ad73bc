// Matrices of random codes, as bytes and as bit planes.

#ifndef BITGRAD_TESTS_OPS_KERNELS_CODE_ARRAY_H_
#define BITGRAD_TESTS_OPS_KERNELS_CODE_ARRAY_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/coded_gemm.h"

namespace bitgrad {

// Random stored codes. With `extreme` they are mostly the least and the largest, with which sums of bytes would
// overflow.
inline std::vector<uint8_t> RandomCodes(Random& random, const Encoding& encoding, int64_t count, bool extreme) {
  // A ternary code is stored as 0, 1 or 2, and the last pattern is no logarithmic code either, unless there is no zero.
  const bool is_full = encoding.kind != EncodingKind::kTernary && encoding.kind != EncodingKind::kLog;
  const uint32_t codes = (1u << encoding.bits) - (is_full ? 0 : 1);
  std::vector<uint8_t> values = RandomBytes(random, count, codes);
  for (uint8_t& c : values) {
    if (extreme && random.Below(8) != 0) c = static_cast<uint8_t>(c % 4 == 0 ? 0 : codes - 1);
  }
  return values;
}

// Random codes [rows, cols] that each context has for itself, as bytes with `gap` other codes between rows and as
// planes.
class CodeArray {
 public:
  CodeArray(const KernelTest& test, Random& random, const Encoding& encoding, int64_t rows, int64_t cols, int64_t gap,
            bool extreme)
      : CodeArray(test, encoding, rows, cols, cols + gap, RandomCodes(random, encoding, rows * (cols + gap), extreme)) {
  }
  CodeArray(const KernelTest& test, const Encoding& encoding, int64_t rows, int64_t cols, int64_t stride,
            std::vector<uint8_t> stored)
      : encoding_(encoding), rows_(rows), cols_(cols), stride_(stride), stored_(test, std::move(stored)) {
    const int64_t words_per_row = BitMatrix::WordsPerRow(cols);
    for (int p = 0; p < encoding.bits; ++p) {
      std::vector<uint64_t> words(rows * words_per_row, 0);
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < cols; ++j) {
          words[i * words_per_row + j / 64] |= uint64_t{stored_.initial(i * stride_ + j) >> p & 1u} << j % 64;
        }
      }
      planes_.emplace_back(test, rows, cols, std::move(words));
    }
  }

  const Encoding& encoding() const { return encoding_; }
  ConstMatrixView<uint8_t> initial() const { return {stored_.initial().data(), rows_, cols_, stride_}; }
  // The codes in the order of the rows.
  std::vector<int32_t> Codes() const {
    std::vector<int32_t> codes;
    for (int64_t i = 0; i < rows_; ++i) {
      for (int64_t j = 0; j < cols_; ++j) {
        codes.push_back(static_cast<int32_t>(reference::Code(encoding_, initial().at(i, j))));
      }
    }
    return codes;
  }
  ConstCodesView bytes(const ExecContext& context) const {
    return {encoding_, stored_.matrix(context, rows_, cols_, stride_)};
  }
  ConstPlanesView planes(const ExecContext& context) const {
    ConstPlanesView view{.encoding = encoding_};
    for (int p = 0; p < encoding_.bits; ++p) view.planes[p] = planes_[p].on(context);
    return view;
  }

 private:
  Encoding encoding_;
  int64_t rows_, cols_, stride_;
  Array<uint8_t> stored_;
  std::vector<BitArray> planes_;
};

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_KERNELS_CODE_ARRAY_H_
