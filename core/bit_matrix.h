// BitMatrix: rows of bits, the packed form of +-1 matrices and of {0,1} masks and bit planes.
//
// Layout: the one packing contract for memory, files and every instruction set.
//   - element j of a row is bit j % 64 of 64-bit word j / 64 (least significant bit first);
//   - bit 1 means +1 (x >= 0), bit 0 means -1; sign(0) = sign(-0.0) = +1, sign(NaN) = -1;
//   - a row takes WordsPerRow(cols) words: whole 64-byte cache lines;
//   - padding bits (columns >= cols) are always zero, in every matrix, after every kernel.
//
// With zero padding in both operands the dot product of two +-1 rows of K elements is
//   dot = K - 2 popcount(a ^ b)

#ifndef BITGRAD_CORE_BIT_MATRIX_H_
#define BITGRAD_CORE_BIT_MATRIX_H_

#include <cstdint>

#include "bitgrad/core/allocator.h"

namespace bitgrad {

struct ConstBitMatrixView {
  const uint64_t* words = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;             // words from one row to the next
  const int32_t* ones = nullptr;  // the number of ones in each row [rows]; null: not counted

  constexpr const uint64_t* row(int64_t i) const { return words + i * stride; }
  constexpr bool bit(int64_t i, int64_t j) const { return row(i)[j / 64] >> (j % 64) & 1; }
};

struct BitMatrixView {
  uint64_t* words = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;
  int32_t* ones = nullptr;  // if not null, a kernel that writes a row's bits also writes its number of ones

  constexpr uint64_t* row(int64_t i) const { return words + i * stride; }
  constexpr operator ConstBitMatrixView() const { return {words, rows, cols, stride, ones}; }  // NOLINT
};

class BitMatrix {
 public:
  static constexpr int64_t kWordsPerLine = kAlignment / sizeof(uint64_t);
  static constexpr int64_t WordsPerRow(int64_t cols) {
    return (cols + 64 * kWordsPerLine - 1) / (64 * kWordsPerLine) * kWordsPerLine;
  }
  static constexpr size_t BytesFor(int64_t rows, int64_t cols) {
    return static_cast<size_t>(rows * WordsPerRow(cols)) * sizeof(uint64_t);
  }

  BitMatrix() = default;  // Null: no words.
  // Uninitialized contents: the kernel that fills a row writes its padding bits too.
  BitMatrix(int64_t rows, int64_t cols, Allocator& allocator = HeapAllocator());
  BitMatrix(BitMatrix&& other) noexcept { *this = static_cast<BitMatrix&&>(other); }
  BitMatrix& operator=(BitMatrix&& other) noexcept;
  ~BitMatrix();

  // A matrix that also has room for the number of ones in each row. Contents and counts are uninitialized.
  static BitMatrix WithOnes(int64_t rows, int64_t cols, Allocator& allocator);
  static BitMatrix Zeros(int64_t rows, int64_t cols, Allocator& allocator = HeapAllocator());

  bool is_null() const { return words_ == nullptr; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  bool has_ones() const { return ones_ != nullptr; }
  size_t byte_size() const {
    return BytesFor(rows_, cols_) + (has_ones() ? static_cast<size_t>(rows_) * sizeof(int32_t) : 0);
  }

  ConstBitMatrixView view() const { return {words_, rows_, cols_, WordsPerRow(cols_), ones_}; }
  BitMatrixView mutable_view() { return {words_, rows_, cols_, WordsPerRow(cols_), ones_}; }

 private:
  Allocator* allocator_ = nullptr;
  uint64_t* words_ = nullptr;
  int32_t* ones_ = nullptr;  // lies in the same block, after the words
  int64_t rows_ = 0;
  int64_t cols_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_BIT_MATRIX_H_
