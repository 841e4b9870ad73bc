// Layer: one step of a model, with its parameters. It is called like a function: y = layer(x).

#ifndef BITGRAD_MODELS_LAYERS_LAYER_H_
#define BITGRAD_MODELS_LAYERS_LAYER_H_

#include <functional>

#include "bitgrad/graph/tape.h"

namespace bitgrad {

class LayerQuantizer;
using QuantizerVisitor = std::function<void(LayerQuantizer&)>;

class Layer {
 public:
  virtual ~Layer() = default;
  virtual Var operator()(const Var& x) = 0;

  // Calls visit(quantizer) for each quantizer of the layer and of the layers that it is made of, in the order in which
  // they work. A layer without quantizers leaves it as it is.
  virtual void VisitQuantizers(const QuantizerVisitor& /*visit*/) {}
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_LAYER_H_
