// MaxoutLayer: y = the largest of each unit's pieces (ops/maxout.h). x [.., pieces n] -> y [.., n].

#ifndef BITGRAD_MODELS_LAYERS_MAXOUT_H_
#define BITGRAD_MODELS_LAYERS_MAXOUT_H_

#include <cstdint>
#include <string>

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/maxout.h"

namespace bitgrad {

class MaxoutLayer final : public Layer {
 public:
  MaxoutLayer(const Scope& scope, int64_t pieces) : path_(scope.path()), pieces_(pieces) {}
  Var operator()(const Var& x) override {
    if (x.tape() == nullptr) return Var();
    Tape::LayerScope layer(*x.tape(), path_);
    return Maxout(x, pieces_);
  }

 private:
  std::string path_;
  int64_t pieces_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_MAXOUT_H_
