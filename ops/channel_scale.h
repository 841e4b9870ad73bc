// The scale per output channel that XNOR-Net multiplies binary products with, computed from the weights (Rastegari et
// al., arXiv 1603.05279). float32. A scale that is learned is a parameter instead: Mul(y, tape.Use(scale)).
//
//   Var w = tape.Use(weight);  // [O, ..]
//   Var y = Mul(Convolution(x, w, {}, {.input = Sign(), .weight = Sign()}), MeanAbs(w));

#ifndef BITGRAD_OPS_CHANNEL_SCALE_H_
#define BITGRAD_OPS_CHANNEL_SCALE_H_

#include "bitgrad/graph/var.h"

namespace bitgrad {

// alpha[o] = mean |w[o, ..]|.   w [O, ..], alpha [O]
// dw[o, ..] = dalpha[o] / n * sign(w[o, ..]), n the elements of an output, sign(0) = +1.
// Errors: w is a scalar, or its outputs have no elements.
Var MeanAbs(const Var& w);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CHANNEL_SCALE_H_
