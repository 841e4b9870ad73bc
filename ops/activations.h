// Pointwise activations, [any shape] float32 -> the same shape.
//
//   Relu       max(x, 0)                        dx = dy 1{x > 0}
//   LeakyRelu  x > 0 ? x : slope x              dx = dy (x > 0 ? 1 : slope)
//   Hardtanh   clip(x, -1, 1)                   dx = dy 1{|x| <= 1}     (Htanh of BNN, arXiv 1602.02830)
//   Sigmoid    1 / (1 + exp(-x))                dx = dy y (1 - y)
//   Tanh       tanh(x)                          dx = dy (1 - y^2)

#ifndef BITGRAD_OPS_ACTIVATIONS_H_
#define BITGRAD_OPS_ACTIVATIONS_H_

#include "bitgrad/graph/var.h"

namespace bitgrad {

Var Relu(const Var& x);
Var LeakyRelu(const Var& x, float slope = 0.01f);
Var Hardtanh(const Var& x);
Var Sigmoid(const Var& x);
Var Tanh(const Var& x);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_ACTIVATIONS_H_
