// Batch: what a step of training or evaluation works on: tensors that have names, each with a dimension that counts the
// examples. Of images and labels it is the first one. Batches of text are time-major, and an example is one of the
// streams that are read side by side.
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
  // The steps of a text, and what is to be predicted at each of them: the token that follows.
  Tensor tokens;   // [steps, streams] int32
  Tensor targets;  // [steps, streams] int32

  int64_t index = 0;  // of the batch within its epoch

  // The number of examples; 0 where no tensor is there.
  inline int64_t size() const;
};

struct BatchField {
  const char* name;
  Tensor Batch::*tensor;
  int examples;  // the number of the dimension that counts examples
};

inline constexpr BatchField kBatchFields[] = {
    {"images", &Batch::images, 0},
    {"labels", &Batch::labels, 0},
    {"tokens", &Batch::tokens, 1},
    {"targets", &Batch::targets, 1},
};

inline int64_t Batch::size() const {
  for (const BatchField& field : kBatchFields) {
    const Tensor& tensor = this->*field.tensor;
    if (!tensor.is_null() && tensor.shape().rank() > field.examples) return tensor.shape().dim(field.examples);
  }
  return 0;
}

}  // namespace bitgrad

#endif  // BITGRAD_DATA_BATCH_H_
