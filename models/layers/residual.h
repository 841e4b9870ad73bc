// Residual: y = body(x) + shortcut(x), or y = body(x) + x where no shortcut is given (He et al., arXiv 1512.03385).

#ifndef BITGRAD_MODELS_LAYERS_RESIDUAL_H_
#define BITGRAD_MODELS_LAYERS_RESIDUAL_H_

#include <memory>
#include <string>
#include <utility>

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/arithmetic.h"

namespace bitgrad {

class Residual final : public Layer {
 public:
  Residual(const Scope& scope, std::unique_ptr<Layer> body, std::unique_ptr<Layer> shortcut = nullptr)
      : path_(scope.path()), body_(std::move(body)), shortcut_(std::move(shortcut)) {}
  Var operator()(const Var& x) override {
    if (x.tape() == nullptr) return Var();
    const Var y = (*body_)(x);
    const Var skip = shortcut_ == nullptr ? x : (*shortcut_)(x);
    Tape::LayerScope layer(*x.tape(), path_);
    return Add(y, skip);
  }
  void VisitQuantizers(const QuantizerVisitor& visit) override {
    body_->VisitQuantizers(visit);
    if (shortcut_ != nullptr) shortcut_->VisitQuantizers(visit);
  }

 private:
  std::string path_;
  std::unique_ptr<Layer> body_;
  std::unique_ptr<Layer> shortcut_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_RESIDUAL_H_
