// A model of your own: dense layers 784 -> 256 -> 256 -> 10 with binary weights and activations.

#ifndef BITGRAD_MODELS_EXAMPLES_TINY_BNN_H_
#define BITGRAD_MODELS_EXAMPLES_TINY_BNN_H_

#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/model.h"
#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {

class TinyBnn final : public Model {
 public:
  explicit TinyBnn(const Scope& scope)
      : fc1_(scope / "fc1", {.in = 784, .out = 256, .input = KBit(8), .weight = Sign()}),
        bn1_(scope / "bn1", {.features = 256}),
        fc2_(scope / "fc2", {.in = 256, .out = 256, .input = Sign(), .weight = Sign()}),
        bn2_(scope / "bn2", {.features = 256}),
        fc3_(scope / "fc3", {.in = 256, .out = 10, .input = Sign(), .weight = Sign()}),
        bn3_(scope / "bn3", {.features = 10}) {}

  Var Forward(const Var& x) override { return bn3_(fc3_(bn2_(fc2_(bn1_(fc1_(x)))))); }

 private:
  Dense fc1_;
  BatchNorm bn1_;
  Dense fc2_;
  BatchNorm bn2_;
  Dense fc3_;
  BatchNorm bn3_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_EXAMPLES_TINY_BNN_H_
