#include "bitgrad/runtime/model_blobs.h"

#include <algorithm>
#include <bit>

#include "bitgrad/core/transfer.h"
#include "bitgrad/runtime/preamble.h"

namespace bitgrad {
namespace {

// The number of ones in each row; [rows] int32.
Tensor OnesOf(const ConstBitMatrixView& bits) {
  Tensor ones({bits.rows}, DType::kInt32);
  for (int64_t i = 0; i < bits.rows; ++i) {
    int32_t count = 0;
    for (int64_t w = 0; w < bits.stride; ++w) count += std::popcount(bits.row(i)[w]);
    ones.mutable_data<int32_t>()[i] = count;
  }
  return ones;
}

}  // namespace

ModelBlobs::ModelBlobs(const PackedModel& model, ExecContext& context) : model_(model) {
  const int count = model.header().blobs_size();
  ones_.resize(static_cast<size_t>(count));
  if (context.device() == Device::kCpu) {
    for (int id = 0; id < count; ++id) data_.push_back(model.bytes(id).data());
    return;
  }
  int64_t size = 0;
  for (int id = 0; id < count; ++id) size += AlignUp(model.blob(id).byte_size());
  copy_ = Tensor({std::max<int64_t>(1, size)}, DType::kUint8, context.allocator());
  uint8_t* to = copy_.mutable_data<uint8_t>();
  for (int id = 0; id < count; ++id) {
    context.Upload(to, model.bytes(id).data(), model.bytes(id).size());
    data_.push_back(to);
    if (model.blob(id).kind() == packed::Blob::BINARY) ones_[id] = ToDevice(context, OnesOf(model.plane(id, 0)));
    to += AlignUp(model.blob(id).byte_size());
  }
}

}  // namespace bitgrad
