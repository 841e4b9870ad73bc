// ModelBlobs: the contents of a packed model's blobs in memory that a context's kernels can read. On the CPU that is
// the mapped file itself. On another device it is a copy, which is made once and in which each blob is aligned as it is
// in the file.

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

  // Like the functions of PackedModel, but the kind of the blob is not checked and pointers are into the device's
  // memory.
  const float* floats(int id) const { return reinterpret_cast<const float*>(data_[id]); }
  const int32_t* ints(int id) const { return reinterpret_cast<const int32_t*>(data_[id]); }
  // For binary weights the view has the number of ones in each row, where the device's kernels need it.
  ConstBitMatrixView plane(int id, int plane) const {
    ConstBitMatrixView view = PlaneOf(model_.blob(id), data_[id], plane);
    if (!ones_[id].is_null()) view.ones = ones_[id].data<int32_t>();
    return view;
  }

 private:
  const PackedModel& model_;
  Tensor copy_;               // null on the CPU
  std::vector<Tensor> ones_;  // of each blob the number of ones in each row; null where nobody needs it
  std::vector<const uint8_t*> data_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_MODEL_BLOBS_H_
