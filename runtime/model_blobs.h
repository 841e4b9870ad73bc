// ModelBlobs: the contents of a packed model's blobs where a context's kernels read them. On the CPU that is where the
// file is mapped, without a copy; on another device a copy, made once, with each blob aligned as it is in the file.

#ifndef BITGRAD_RUNTIME_MODEL_BLOBS_H_
#define BITGRAD_RUNTIME_MODEL_BLOBS_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

class ModelBlobs {
 public:
  // REQUIRES: model and context outlive this.
  ModelBlobs(const PackedModel& model, ExecContext& context);

  // As PackedModel's, but the kind of a blob is not asked for, and pointers are the device's.
  const float* floats(int id) const { return reinterpret_cast<const float*>(data_[id]); }
  const int32_t* ints(int id) const { return reinterpret_cast<const int32_t*>(data_[id]); }
  // With the ones of each row where the device's products need them and the blob is binary weights.
  ConstBitMatrixView plane(int id, int plane) const {
    ConstBitMatrixView view = PlaneOf(model_.blob(id), data_[id], plane);
    if (!ones_[id].is_null()) view.ones = ones_[id].data<int32_t>();
    return view;
  }

 private:
  const PackedModel& model_;
  Tensor copy_;               // null on the CPU
  std::vector<Tensor> ones_;  // by blob; null: not counted
  std::vector<const uint8_t*> data_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_MODEL_BLOBS_H_
