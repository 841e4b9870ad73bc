// A convolutional model of your own, for 32x32 colour images. The first convolution takes 8-bit pixels, the two after
// it are binary, and one of those has a shortcut.

#ifndef BITGRAD_MODELS_EXAMPLES_TINY_VGG_H_
#define BITGRAD_MODELS_EXAMPLES_TINY_VGG_H_

#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/model.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/pool.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reshape.h"

namespace bitgrad {

class TinyVgg final : public Model {
 public:
  explicit TinyVgg(const Scope& scope)
      : conv1_(scope / "conv1", {.in = 3, .out = 64, .kernel = 3, .pad = 1, .input = KBit(8), .weight = Sign()}),
        bn1_(scope / "bn1", {.features = 64}),
        conv2_(scope / "conv2", {.in = 64, .out = 64, .kernel = 3, .pad = 1, .input = Sign(), .weight = Sign()}),
        bn2_(scope / "bn2", {.features = 64}),
        conv3_(scope / "conv3", {.in = 64, .out = 128, .kernel = 3, .pad = 1, .input = Sign(), .weight = Sign()}),
        bn3_(scope / "bn3", {.features = 128}),
        fc_(scope / "fc", {.in = 8 * 8 * 128, .out = 10, .input = Sign(), .weight = Sign()}),
        bn4_(scope / "bn4", {.features = 10}) {}

  Var Forward(const Var& x) override {
    const Var y = bn1_(MaxPool(conv1_(Reshape(x, {-1, 32, 32, 3}))));
    const Var z = Add(y, bn2_(conv2_(y)));
    return bn4_(fc_(Flatten(bn3_(MaxPool(conv3_(z))))));
  }

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Conv2d conv2_;
  BatchNorm2d bn2_;
  Conv2d conv3_;
  BatchNorm2d bn3_;
  Dense fc_;
  BatchNorm bn4_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_EXAMPLES_TINY_VGG_H_
