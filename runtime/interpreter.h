// Interpreter: runs a packed model, without a tape.
//
//   BITGRAD_ASSIGN_OR_RETURN(auto interpreter, Interpreter::Create(*model, context));
//   BITGRAD_ASSIGN_OR_RETURN(Tensor logits, interpreter->Run(images));         // [batch, classes]
//
// Create() decides once which kernel runs each linear and conv2d instruction (runtime/kernel_choice.h). The results are
// those of the training graph in evaluation, because the same kernels compute them or, for integer sums, kernels that
// are exact. Buffers are kept between calls. A batch is processed in pieces, so that working memory is bounded however
// large the batch is.
//
// A model of tokens runs time step by time step and carries its states, for each stream, from one run to the next:
//
//   BITGRAD_ASSIGN_OR_RETURN(Tensor logits, interpreter->RunTokens(tokens));   // [steps * streams, vocabulary]
//
// A model of time steps (input.time_steps) runs as often for each example, from states of zeros on, and answers what
// the last time step gives; to who calls Run() or RunPixels() it is a model like others. What no later time step
// depends on runs in the last one alone.
//
// On a GPU, Create() copies the model's weights to the device once. The images of a piece are copied to the device, and
// its results back, in one copy each. Results are equal to the CPU's in every bit wherever sums are integers
// (docs/cuda.md).

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
    // About how much memory the values of one piece may take; 0: a default for the device.
    int64_t piece_bytes = 0;
  };

  // REQUIRES: the model and the context outlive the interpreter. An error where the context's device cannot be used.
  static absl::StatusOr<std::unique_ptr<Interpreter>> Create(const PackedModel& model, ExecContext& context,
                                                             const Options& options);
  static absl::StatusOr<std::unique_ptr<Interpreter>> Create(const PackedModel& model, ExecContext& context) {
    return Create(model, context, Options{});
  }
  virtual ~Interpreter() = default;

  // The last value, [batch, features] float32 (codes become their values), from inputs x [batch,
  // features]. InvalidArgument when the columns are not the model's. Inputs and result are the host's.
  absl::StatusOr<Tensor> Run(ConstMatrixView<float> x);
  // Writes the results to memory of the caller's, without gaps. Once as large a batch has gone before, nothing is
  // allocated for it. REQUIRES: `results` has room.
  virtual absl::Status Run(ConstMatrixView<float> x, float* results) = 0;

  // The same for 8-bit pixels, which the model's pixel mapping converts. A quantizer of few bits
  // reads its codes from a table of 256 entries, without floats in between. FailedPrecondition where the model takes
  // floats only.
  absl::StatusOr<Tensor> RunPixels(ConstMatrixView<uint8_t> pixels);
  virtual absl::Status RunPixels(ConstMatrixView<uint8_t> pixels, float* results) = 0;

  // The same for a model of tokens: tokens [steps, streams], time step by time step, to results [steps * streams,
  // features], the streams of the first time step first. States go on from the run before; they are zeros at first and
  // after Reset(). With fewer streams than before the first ones go on.
  //
  // InvalidArgument where a token is none of the model's; FailedPrecondition where the model takes no tokens, or there
  // are more streams than in the run before. After another error (of the device) the states are undefined until
  // Reset().
  absl::StatusOr<Tensor> RunTokens(ConstMatrixView<int32_t> tokens);
  // Writes the results to memory of the caller's, without gaps. Once runs of as many streams have gone before, nothing
  // is allocated. REQUIRES: `results` has room.
  virtual absl::Status RunTokens(ConstMatrixView<int32_t> tokens, float* results) = 0;
  virtual void Reset() = 0;

 private:
  virtual const PackedModel& model() const = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_INTERPRETER_H_
