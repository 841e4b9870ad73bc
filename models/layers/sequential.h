// Sequential: layers applied one after the other.
//
//   Sequential net;
//   net.Add<Dense>(scope / "fc1", DenseOptions{.in = 784, .out = 128, .weight = Sign()});
//   net.Add<BatchNorm>(scope / "bn1", BatchNormLayerOptions{.features = 128});
//   Var y = net(x);

#ifndef BITGRAD_MODELS_LAYERS_SEQUENTIAL_H_
#define BITGRAD_MODELS_LAYERS_SEQUENTIAL_H_

#include <memory>
#include <utility>
#include <vector>

#include "bitgrad/models/layers/layer.h"

namespace bitgrad {

class Sequential final : public Layer {
 public:
  // Returns the layer, which lives as long as this does.
  template <typename L, typename... Args>
  L& Add(Args&&... args) {
    auto layer = std::make_unique<L>(std::forward<Args>(args)...);
    L& added = *layer;
    layers_.push_back(std::move(layer));
    return added;
  }
  Var operator()(const Var& x) override {
    Var y = x;
    for (const auto& layer : layers_) y = (*layer)(y);
    return y;
  }
  void VisitQuantizers(const QuantizerVisitor& visit) override {
    for (const auto& layer : layers_) layer->VisitQuantizers(visit);
  }

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_SEQUENTIAL_H_
