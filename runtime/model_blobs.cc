#include "runtime/model_blobs.h"

#include <algorithm>

#include "runtime/preamble.h"

namespace bitgrad {

ModelBlobs::ModelBlobs(const PackedModel& model, ExecContext& context) : model_(model) {
  const int count = model.header().blobs_size();
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
    to += AlignUp(model.blob(id).byte_size());
  }
}

}  // namespace bitgrad
