#include "bitgrad/core/transfer.h"

#include "bitgrad/core/check.h"

namespace bitgrad {

Tensor ToDevice(ExecContext& context, const Tensor& tensor) {
  if (tensor.device() == context.allocator().device()) return tensor.Alias();
  BITGRAD_CHECK(tensor.device() == Device::kCpu);
  Tensor result(tensor.shape(), tensor.dtype(), context.allocator());
  context.Upload(result.mutable_raw_data(), tensor.raw_data(), tensor.byte_size());
  return result;
}

Tensor ToHost(ExecContext& context, const Tensor& tensor) {
  if (tensor.device() == Device::kCpu) return tensor.Alias();
  BITGRAD_CHECK(tensor.device() == context.allocator().device());
  Tensor result(tensor.shape(), tensor.dtype());
  context.Download(result.mutable_raw_data(), tensor.raw_data(), tensor.byte_size());
  return result;
}

}  // namespace bitgrad
