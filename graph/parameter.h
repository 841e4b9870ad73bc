// Parameter: what a model learns or keeps between steps. It lives in the model and outlives every tape.
//
// For a quantized layer `value` is the latent, full-precision weight; the tape sees its quantized form. Names are
// paths ("hidden2/weight") and are the keys of checkpoints.

#ifndef BITGRAD_GRAPH_PARAMETER_H_
#define BITGRAD_GRAPH_PARAMETER_H_

#include <cstdint>
#include <limits>
#include <string>

#include "bitgrad/core/tensor.h"

namespace bitgrad {

struct Parameter {
  std::string name;
  Tensor value;
  // Sum of the gradients of all tapes since the optimizer's last step. Null until the first one.
  Tensor gradient;

  // False for state that is not learned by gradient (running statistics): optimizers pass it by, checkpoints
  // keep it.
  bool trainable = true;
  // Whether weight decay applies (weights, not biases or batch norm).
  bool decays = false;
  // The latent value is clipped to [-clip, clip] after each step; infinity: no constraint.
  float clip = std::numeric_limits<float>::infinity();
  // fan_in and fan_out of a weight, for the Glorot learning-rate scale; 0: not a weight.
  int64_t fan_in = 0;
  int64_t fan_out = 0;
  // The quantizer that the layer applies ("sign"); empty or "identity": none. Summaries and metrics print it.
  std::string quantizer;

  // How many latent values changed their sign, and how many lie at +-clip, after the optimizer's last step
  // (ops/kernels/optimizer_step.h). For training diagnostics.
  int64_t sign_flips = 0;
  int64_t at_clip = 0;

  bool is_quantized() const { return !quantizer.empty() && quantizer != "identity"; }
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_PARAMETER_H_
