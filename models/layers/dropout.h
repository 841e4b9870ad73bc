// Dropout: keeps each element with probability `keep` in training; nothing in evaluation (ops/dropout.h).

#ifndef BITGRAD_MODELS_LAYERS_DROPOUT_H_
#define BITGRAD_MODELS_LAYERS_DROPOUT_H_

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/ops/dropout.h"

namespace bitgrad {

class Dropout final : public Layer {
 public:
  // A keep outside (0, 1] is an error of the tape that the layer is applied on.
  explicit Dropout(float keep) : keep_(keep) {}
  Var operator()(const Var& x) override { return ApplyDropout(x, keep_); }

 private:
  float keep_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_DROPOUT_H_
