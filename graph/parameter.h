// Parameter: what a model learns or keeps between steps. It lives in the model and outlives every tape.
//
// For a quantized layer `value` is the latent, full-precision weight; the tape sees its quantized form. Names are
// paths ("hidden2/weight") and are the keys of checkpoints.

#ifndef BITGRAD_GRAPH_PARAMETER_H_
#define BITGRAD_GRAPH_PARAMETER_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/number_group.h"

namespace bitgrad {

// What a parameter is to its layer. Optimizers choose their update rule by it, summaries and metrics group by it.
enum class ParameterKind {
  kOther,              // biases, batch norm, running statistics
  kWeight,             // a weight that products take as it is
  kQuantizedWeight,    // the latent values of a weight that products take quantized
  kQuantizerVariable,  // a variable of a quantizer: a step, a clip, a bit length, a scale
  kSpline,             // what a learned activation is made of: coefficients, a linear term
};

struct Parameter {
  std::string name;
  Tensor value;
  // Sum of the gradients of all tapes since the optimizer's last step. Null until the first one.
  Tensor gradient;
  // Null, or int32 [n] on the gradient's device: then `gradient` is [n, cols], and its row i is that of row
  // gradient_rows[i] of the value, seen as the matrix [rows, cols]; -1 is no row, and its gradient is 0. The other rows
  // are distinct, and rows of the value that do not occur have a gradient of 0. So is the gradient of an embedding's
  // table (ops/embedding.h), most of whose rows a batch does not read, as long as nothing else has a gradient for it.
  // ops/row_gradient.h makes it a gradient of the value's shape. Meaningful only where `gradient` is not null.
  Tensor gradient_rows;

  // False for state that is not learned by gradient (running statistics): optimizers pass it by, checkpoints
  // keep it.
  bool trainable = true;
  // Whether weight decay applies (weights, not biases or batch norm).
  bool decays = false;
  // After each step the value is clipped to [least, most]; an infinite bound is none.
  float least = -std::numeric_limits<float>::infinity();
  float most = std::numeric_limits<float>::infinity();
  // Whether a value at a bound is an error of the step instead: for what has to be positive and finite, like the step
  // size of a quantizer, with the bounds 0 and the largest float.
  bool has_to_stay_inside = false;
  // After each step a row of the value whose Euclidean norm exceeds this is scaled to it; 0: no such constraint. The
  // value is [rows, ...].
  float max_row_norm = 0;
  // Arithmetic of low precision: how the optimizer rounds its step, and the value that it stores.
  NumberGroup step_format, stored_format;
  // Where the value is the range of a NumberGroup: what was counted for it, by which a controller adjusts it after each
  // step, and how (ops/kernels/round_numbers.h). Null for all other parameters.
  Parameter* overflows = nullptr;
  RangeControl range_control;
  // fan_in and fan_out of a weight, for the Glorot learning-rate scale; 0: not a weight.
  int64_t fan_in = 0;
  int64_t fan_out = 0;
  ParameterKind kind = ParameterKind::kOther;
  // False where the value only holds the place for one that the first batch of a training gives: a quantizer's step or
  // running statistic (ops/quantize.h).
  bool is_set = true;
  // What products take in place of a quantized weight; of any other parameter they take floats.
  Encoding encoding;

  // How many values changed their sign, and how many lie at a bound, after the optimizer's last step
  // (ops/kernels/optimizer_step.h). For training diagnostics.
  int64_t sign_flips = 0;
  int64_t at_clip = 0;

  // Whether there is a gradient, and it is by rows.
  bool has_row_gradient() const { return !gradient.is_null() && !gradient_rows.is_null(); }
  // Whether the gradient's shape and types, by rows or not, are right for the value. REQUIRES: there are both.
  bool GradientFits() const {
    if (gradient.dtype() != DType::kFloat32 || gradient.device() != value.device()) return false;
    if (gradient_rows.is_null()) return gradient.shape() == value.shape();
    return gradient_rows.dtype() == DType::kInt32 && gradient_rows.device() == value.device() &&
           gradient_rows.shape().rank() == 1 &&
           gradient.shape() == Shape({gradient_rows.shape().dim(0), value.shape().cols()});
  }
  void DropGradient() {
    gradient = Tensor();
    gradient_rows = Tensor();
  }

  bool is_quantized() const { return kind == ParameterKind::kQuantizedWeight; }
  bool is_binary() const { return is_quantized() && encoding.kind == EncodingKind::kBinary; }

  // Bounds [-clip, clip].
  void ClipTo(float clip) {
    least = -clip;
    most = clip;
  }

  // The signs of `value`, seen as the matrix [rows, cols], as bits: the forward pass of a training step leaves them,
  // the optimizer's pass over the weights replaces them by those of the next step. Null where nobody has left any, and
  // once `value` was written to or replaced.
  std::shared_ptr<const BitMatrix> signs() const {
    return signs_version_.IsOf(value) && !signs_version_.WasWritten() ? signs_ : nullptr;
  }
  // `signs` are those of `value` as it is now; null forgets them. For thread safety this counts as writing.
  void set_signs(std::shared_ptr<const BitMatrix> signs) {
    signs_ = std::move(signs);
    signs_version_ = Tensor::Version(value);
  }

 private:
  std::shared_ptr<const BitMatrix> signs_;
  Tensor::Version signs_version_;  // of the value that they are the signs of
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_PARAMETER_H_
