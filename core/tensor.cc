#include "bitgrad/core/tensor.h"

#include <utility>

namespace bitgrad {

Tensor::Tensor(Shape shape, DType dtype, Allocator& allocator) : shape_(std::move(shape)), dtype_(dtype) {
  BITGRAD_DCHECK(shape_.Validate().ok());
  buffer_ = std::make_shared<Buffer>(byte_size(), allocator);
}

Tensor Tensor::Zeros(Shape shape, DType dtype, Allocator& allocator) {
  Tensor tensor(std::move(shape), dtype, allocator);
  allocator.Zero(tensor.mutable_raw_data(), tensor.byte_size());
  return tensor;
}

Tensor Tensor::Clone(Allocator& allocator) const {
  BITGRAD_CHECK(allocator.device() == device());
  Tensor copy(shape_, dtype_, allocator);
  allocator.Copy(copy.mutable_raw_data(), raw_data(), byte_size());
  return copy;
}

Tensor Tensor::Alias(Shape shape) const {
  BITGRAD_CHECK(shape.num_elements() == num_elements());
  Tensor alias;
  alias.shape_ = std::move(shape);
  alias.dtype_ = dtype_;
  alias.buffer_ = buffer_;
  return alias;
}

}  // namespace bitgrad
