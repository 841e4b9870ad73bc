// A user's model, in a file of the user's own project.

#ifndef MY_NET_H_
#define MY_NET_H_

#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/model.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"

class MyNet final : public bitgrad::Model {
 public:
  explicit MyNet(const bitgrad::Scope& scope)
      : fc1_(scope / "fc1", {.in = 784, .out = 128, .input = bitgrad::KBit(8), .weight = bitgrad::Sign()}),
        bn1_(scope / "bn1", {.features = 128}),
        fc2_(scope / "fc2", {.in = 128, .out = 10, .input = bitgrad::Sign(), .weight = bitgrad::Sign()}),
        bn2_(scope / "bn2", {.features = 10}) {}

  bitgrad::Var Forward(const bitgrad::Var& x) override { return bn2_(fc2_(bn1_(fc1_(x)))); }

 private:
  bitgrad::Dense fc1_;
  bitgrad::BatchNorm bn1_;
  bitgrad::Dense fc2_;
  bitgrad::BatchNorm bn2_;
};

#endif  // MY_NET_H_
