#include "bitgrad/core/bit_matrix.h"

#include <utility>

namespace bitgrad {

BitMatrix::BitMatrix(int64_t rows, int64_t cols, Allocator& allocator)
    : allocator_(&allocator),
      words_(static_cast<uint64_t*>(allocator.Allocate(BytesFor(rows, cols)))),
      rows_(rows),
      cols_(cols) {}

BitMatrix& BitMatrix::operator=(BitMatrix&& other) noexcept {
  std::swap(allocator_, other.allocator_);
  std::swap(words_, other.words_);
  std::swap(ones_, other.ones_);
  std::swap(rows_, other.rows_);
  std::swap(cols_, other.cols_);
  return *this;
}

BitMatrix::~BitMatrix() {
  if (words_ != nullptr) allocator_->Deallocate(words_, byte_size());
}

BitMatrix BitMatrix::WithOnes(int64_t rows, int64_t cols, Allocator& allocator) {
  BitMatrix matrix;
  const size_t bytes = BytesFor(rows, cols);
  matrix.allocator_ = &allocator;
  matrix.words_ = static_cast<uint64_t*>(allocator.Allocate(bytes + static_cast<size_t>(rows) * sizeof(int32_t)));
  matrix.ones_ = reinterpret_cast<int32_t*>(reinterpret_cast<char*>(matrix.words_) + bytes);
  matrix.rows_ = rows;
  matrix.cols_ = cols;
  return matrix;
}

BitMatrix BitMatrix::Zeros(int64_t rows, int64_t cols, Allocator& allocator) {
  BitMatrix matrix(rows, cols, allocator);
  allocator.Zero(matrix.words_, matrix.byte_size());
  return matrix;
}

}  // namespace bitgrad
