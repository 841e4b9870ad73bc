// Extents of a tensor, row-major: the last dimension is contiguous.
//
//   Shape shape({100, 784});
//   shape.num_elements();  // 78400
//   shape.ToString();      // "[100, 784]"

#ifndef BITGRAD_CORE_SHAPE_H_
#define BITGRAD_CORE_SHAPE_H_

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/types/span.h"

namespace bitgrad {

class Shape {
 public:
  Shape() = default;  // A scalar: rank 0, one element.
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(absl::Span<const int64_t> dims) : dims_(dims.begin(), dims.end()) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t dim(int i) const { return dims_[i]; }
  absl::Span<const int64_t> dims() const { return dims_; }

  // Product of the extents; 1 for a scalar. REQUIRES: Validate().ok().
  int64_t num_elements() const;

  // The extents of the matrix [rows(), cols()] that results when all dimensions but the last are merged into one.
  int64_t cols() const { return dims_.empty() ? 1 : dims_.back(); }
  int64_t rows() const;

  // InvalidArgument when an extent is negative or the product of the extents that are not zero is over 2^40: a size
  // that no tensor of bitgrad has, so a wrong file, flag or operand is caught before memory is asked for. Hence also
  // every partial product of the extents, rows() and cols() among them, fits an int64.
  absl::Status Validate() const;

  std::string ToString() const;

  friend bool operator==(const Shape& a, const Shape& b) { return a.dims_ == b.dims_; }
  friend bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }

 private:
  absl::InlinedVector<int64_t, 4> dims_;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_SHAPE_H_
