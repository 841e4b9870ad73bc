// Layer: one step of a model, with its parameters. It is called like a function: y = layer(x).

#ifndef BITGRAD_MODELS_LAYERS_LAYER_H_
#define BITGRAD_MODELS_LAYERS_LAYER_H_

#include "bitgrad/graph/tape.h"

namespace bitgrad {

class Layer {
 public:
  virtual ~Layer() = default;
  virtual Var operator()(const Var& x) = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_LAYER_H_
