#include "core/bit_matrix.h"

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
  std::swap(rows_, other.rows_);
  std::swap(cols_, other.cols_);
  return *this;
}

BitMatrix::~BitMatrix() {
  if (words_ != nullptr) allocator_->Deallocate(words_, byte_size());
}

BitMatrix BitMatrix::Zeros(int64_t rows, int64_t cols, Allocator& allocator) {
  BitMatrix matrix(rows, cols, allocator);
  allocator.Zero(matrix.words_, matrix.byte_size());
  return matrix;
}

}  // namespace bitgrad
