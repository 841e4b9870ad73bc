// Borrowed matrices: a pointer, extents and a row stride. They own nothing and are passed by value. The pointer is one
// of the matrix's device, and only that device's kernels may dereference it.

#ifndef BITGRAD_CORE_VIEW_H_
#define BITGRAD_CORE_VIEW_H_

#include <cstdint>
#include <type_traits>

namespace bitgrad {

// Row-major [rows, cols]; row i starts at data + i * stride (in elements). With a stride of 0 all rows are the same
// memory, which broadcasts a vector over the batch.
template <typename T>
struct MatrixView {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  constexpr MatrixView() = default;
  constexpr MatrixView(T* data, int64_t rows, int64_t cols) : MatrixView(data, rows, cols, cols) {}
  constexpr MatrixView(T* data, int64_t rows, int64_t cols, int64_t stride)
      : data(data), rows(rows), cols(cols), stride(stride) {}
  // A mutable view is usable where a const one is asked for.
  template <typename U, typename = std::enable_if_t<std::is_same_v<const U, T>>>
  constexpr MatrixView(const MatrixView<U>& other)  // NOLINT: implicit by design
      : MatrixView(other.data, other.rows, other.cols, other.stride) {}

  constexpr T* row(int64_t i) const { return data + i * stride; }
  constexpr T& at(int64_t i, int64_t j) const { return data[i * stride + j]; }
  constexpr bool contiguous() const { return stride == cols || rows <= 1; }
  constexpr int64_t size() const { return rows * cols; }
};

template <typename T>
using ConstMatrixView = MatrixView<const T>;

}  // namespace bitgrad

#endif  // BITGRAD_CORE_VIEW_H_
