// Tensor: shape, dtype, device and buffer; contiguous and row-major.
//
// A Tensor is movable. It is never copied by accident: Clone() copies the bytes, Alias() makes a second handle to the
// same bytes (for a reshape, or for a value that the backward pass keeps). There is no arithmetic and no autodiff here:
// ops/ computes with values, graph/ with gradients.
//
//   Tensor x = Tensor::Zeros({100, 784});
//   x.mutable_data<float>()[0] = 1.0f;
//   MatrixView<float> rows = x.matrix<float>();

#ifndef BITGRAD_CORE_TENSOR_H_
#define BITGRAD_CORE_TENSOR_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/types/span.h"
#include "bitgrad/core/allocator.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/device.h"
#include "bitgrad/core/dtype.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

class Tensor {
 public:
  Tensor() = default;  // Null: no buffer.
  // Uninitialized contents. REQUIRES: shape.Validate().ok(); `allocator` outlives the buffer.
  Tensor(Shape shape, DType dtype, Allocator& allocator = HeapAllocator());
  Tensor(Tensor&&) = default;
  Tensor& operator=(Tensor&&) = default;

  static Tensor Zeros(Shape shape, DType dtype = DType::kFloat32, Allocator& allocator = HeapAllocator());
  // A tensor with a copy of `values`. REQUIRES: values.size() == shape.num_elements(); `allocator` is the CPU's.
  template <typename T>
  static Tensor Of(Shape shape, absl::Span<const T> values, Allocator& allocator = HeapAllocator());

  bool is_null() const { return buffer_ == nullptr; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  Device device() const { return buffer_->allocator->device(); }
  int64_t num_elements() const { return shape_.num_elements(); }
  size_t byte_size() const { return static_cast<size_t>(num_elements()) * SizeOf(dtype_); }

  // Access to the elements. REQUIRES: !is_null(), and T is the type of dtype(). The pointer is one of device(). Every
  // access for writing (mutable_...) drops the derived value below.
  template <typename T>
  const T* data() const {
    BITGRAD_DCHECK(DTypeOf<T>::kValue == dtype_);
    return static_cast<const T*>(raw_data());
  }
  template <typename T>
  T* mutable_data() {
    BITGRAD_DCHECK(DTypeOf<T>::kValue == dtype_);
    return static_cast<T*>(mutable_raw_data());
  }
  const void* raw_data() const { return buffer_->block; }
  void* mutable_raw_data() {
    buffer_->sum_of_squares = -1;
    ++buffer_->writes;
    return buffer_->block;
  }

  template <typename T>
  absl::Span<const T> span() const {
    return {data<T>(), static_cast<size_t>(num_elements())};
  }
  template <typename T>
  absl::Span<T> mutable_span() {
    return {mutable_data<T>(), static_cast<size_t>(num_elements())};
  }
  // The elements as the matrix [shape().rows(), shape().cols()].
  template <typename T>
  ConstMatrixView<T> matrix() const {
    return {data<T>(), shape_.rows(), shape_.cols()};
  }
  template <typename T>
  MatrixView<T> mutable_matrix() {
    return {mutable_data<T>(), shape_.rows(), shape_.cols()};
  }

  // A copy of the bytes. REQUIRES: `allocator` is of the tensor's device (core/transfer.h copies between devices).
  Tensor Clone(Allocator& allocator = HeapAllocator()) const;
  // Another handle to the same bytes. Whoever aliases a tensor must not write to it afterwards.
  Tensor Alias() const { return Alias(shape_); }
  // REQUIRES: shape.num_elements() == num_elements().
  Tensor Alias(Shape shape) const;

  // A derived value: a result that some code has computed from the contents and keeps with them for later users. Every
  // access for writing (mutable_...) drops it. A pointer from mutable_data() therefore must not be kept for later
  // writes: call mutable_data() again for each change. For thread safety, setting a derived value counts as writing.
  //
  // The sum of the squares of all elements, with a relative error of about 1e-6 (elements of magnitude below 1e-19 may
  // count as 0), or a negative number where it is not known. The product that makes a gradient thereby tells the
  // optimizer the gradient's norm.
  double sum_of_squares() const { return buffer_->sum_of_squares; }
  void set_sum_of_squares(double sum) const { buffer_->sum_of_squares = sum; }

  // Whether no other handle shares the bytes.
  bool is_unique() const { return buffer_.use_count() == 1; }

  // Which bytes a tensor had at some moment, and how often they had been opened for writing (mutable_..) by then: how
  // whoever relies on a value finds out that somebody has changed it. Keeps no memory alive.
  class Version;

 private:
  struct Buffer {
    Buffer(size_t bytes, Allocator& allocator)
        : allocator(&allocator), bytes(bytes), block(allocator.Allocate(bytes)) {}
    ~Buffer() { allocator->Deallocate(block, bytes); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    Allocator* allocator;
    size_t bytes;
    void* block;
    double sum_of_squares = -1;
    uint64_t writes = 0;  // how often the bytes were opened for writing
  };

  Shape shape_;
  DType dtype_ = DType::kFloat32;
  std::shared_ptr<Buffer> buffer_;
};

class Tensor::Version {
 public:
  Version() = default;  // Of no tensor: nothing has been written.
  explicit Version(const Tensor& tensor)
      : buffer_(tensor.buffer_), writes_(tensor.buffer_ == nullptr ? 0 : tensor.buffer_->writes) {}

  // Whether the bytes have been opened for writing since. False when nobody holds them any more.
  bool WasWritten() const {
    const std::shared_ptr<const Buffer> buffer = buffer_.lock();
    return buffer != nullptr && buffer->writes != writes_;
  }
  // Whether `tensor` is a handle to the same bytes.
  bool IsOf(const Tensor& tensor) const {
    return !buffer_.owner_before(tensor.buffer_) && !tensor.buffer_.owner_before(buffer_);
  }

 private:
  std::weak_ptr<const Buffer> buffer_;
  uint64_t writes_ = 0;
};

template <typename T>
Tensor Tensor::Of(Shape shape, absl::Span<const T> values, Allocator& allocator) {
  Tensor tensor(std::move(shape), DTypeOf<T>::kValue, allocator);
  BITGRAD_CHECK(static_cast<int64_t>(values.size()) == tensor.num_elements());
  std::copy(values.begin(), values.end(), tensor.mutable_data<T>());
  return tensor;
}

}  // namespace bitgrad

#endif  // BITGRAD_CORE_TENSOR_H_
