// Model: what can be trained, checkpointed and frozen. Derive from it, make the layers in the constructor and apply
// them in Forward(). models/examples/train_tiny_bnn.cc has a complete model.

#ifndef BITGRAD_MODELS_MODEL_H_
#define BITGRAD_MODELS_MODEL_H_

#include "bitgrad/graph/tape.h"

namespace bitgrad {

class Model {
 public:
  virtual ~Model() = default;

  // Maps x [batch, features] to logits [batch, classes]. The tape of `x` decides whether this is training or
  // evaluation. Errors are those of the ops; they stay with the tape.
  virtual Var Forward(const Var& x) = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_MODEL_H_
