// Batch: what a step of training or evaluation works on: tensors that have names and the examples as their first
// dimension.
//
// Which of them a batch has depends on the data, and which of them are used on the task (models/training/task.h).
// Whatever only carries batches, to a device say, does so for every field of kBatchFields. A new kind of tensor
// (tokens, targets) is one member and one line of that table.

#ifndef BITGRAD_DATA_BATCH_H_
#define BITGRAD_DATA_BATCH_H_

#include <cstdint>

#include "bitgrad/core/tensor.h"

namespace bitgrad {

struct Batch {
  // Null where the batch has no tensor of that name.
  Tensor images;  // [batch, height * width * channels] float32, in [-1, 1] unless preprocessed
  Tensor labels;  // [batch] int32

  int64_t index = 0;  // of the batch within its epoch

  // The number of examples; 0 where no tensor is there.
  inline int64_t size() const;
};

struct BatchField {
  const char* name;
  Tensor Batch::*tensor;
};

inline constexpr BatchField kBatchFields[] = {
    {"images", &Batch::images},
    {"labels", &Batch::labels},
};

inline int64_t Batch::size() const {
  for (const BatchField& field : kBatchFields) {
    const Tensor& tensor = this->*field.tensor;
    if (!tensor.is_null() && tensor.shape().rank() > 0) return tensor.shape().dim(0);
  }
  return 0;
}

}  // namespace bitgrad

#endif  // BITGRAD_DATA_BATCH_H_
