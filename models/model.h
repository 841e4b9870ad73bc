// Model: what can be trained, checkpointed and frozen. Derive from it, make layers in the constructor, apply them in
// Forward(); models/examples/train_tiny_bnn.cc has a whole one.

#ifndef BITGRAD_MODELS_MODEL_H_
#define BITGRAD_MODELS_MODEL_H_

#include "bitgrad/graph/tape.h"

namespace bitgrad {

class Model {
 public:
  virtual ~Model() = default;

  // [batch, features] -> logits [batch, classes]. The tape of `x` says whether this is training or evaluation.
  virtual Var Forward(const Var& x) = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_MODEL_H_
