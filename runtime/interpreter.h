// Interpreter: runs a packed model, without a tape.
//
//   BITGRAD_ASSIGN_OR_RETURN(auto interpreter, Interpreter::Create(*model, context));
//   BITGRAD_ASSIGN_OR_RETURN(Tensor logits, interpreter->Run(images));         // [batch, classes]
//
// Which kernel runs each linear instruction is decided once, in Create (runtime/kernel_choice.h).
// The answers are the graph's: the same kernels or, for integer sums, exact ones. Buffers are kept
// between calls. A batch is taken in pieces, so working memory stays bounded however large it is.
//
// On a GPU the model's weights are copied there once, in Create; the images of a piece go up and their answers come
// down in one copy each. The answers are the CPU's, to the last bit wherever sums are integers (docs/cuda.md).

#ifndef BITGRAD_RUNTIME_INTERPRETER_H_
#define BITGRAD_RUNTIME_INTERPRETER_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

class Interpreter {
 public:
  struct Options {
    // Memory that the values of one piece may take, about; 0: what suits the device.
    int64_t piece_bytes = 0;
  };

  // REQUIRES: the model and the context outlive the interpreter. An error where the context's device cannot be used.
  static absl::StatusOr<std::unique_ptr<Interpreter>> Create(const PackedModel& model, ExecContext& context,
                                                             const Options& options);
  static absl::StatusOr<std::unique_ptr<Interpreter>> Create(const PackedModel& model, ExecContext& context) {
    return Create(model, context, Options{});
  }
  virtual ~Interpreter() = default;

  // The last value, [batch, features] float32 (bits become -1 and +1), from inputs x [batch,
  // features]. InvalidArgument when the columns are not the model's. Inputs and result are the host's.
  virtual absl::StatusOr<Tensor> Run(ConstMatrixView<float> x) = 0;

  // The same from 8-bit pixels through the model's pixel mapping. A first layer that takes few-bit
  // codes gets them from a table of 256 entries: no float is made.
  virtual absl::StatusOr<Tensor> RunPixels(ConstMatrixView<uint8_t> pixels) = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_INTERPRETER_H_
