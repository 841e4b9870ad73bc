// A scale per channel, learned or computed from the weights: what XNOR-Net multiplies binary products with (Rastegari
// et al., arXiv 1603.05279). float32.
//
//   Var w = tape.Use(weight);  // [O, ..]
//   Var y = ScaleChannels(Convolution(x, w, {}, {.input = Sign(), .weight = Sign()}), MeanAbs(w));

#ifndef BITGRAD_OPS_CHANNEL_SCALE_H_
#define BITGRAD_OPS_CHANNEL_SCALE_H_

#include "graph/var.h"

namespace bitgrad {

// y[.., c] = x[.., c] * scale[c].   x, y [.., C], scale [C]
// dx = dy * scale; dscale[c] = the sum of dy[.., c] x[.., c]. Keeps x where dscale is wanted.
// On the tape it is a mul between reshapes. Errors: shapes that do not match.
Var ScaleChannels(const Var& x, const Var& scale);

// alpha[o] = mean |w[o, ..]|.   w [O, ..], alpha [O]
// dw[o, ..] = dalpha[o] / n * sign(w[o, ..]), n the elements of an output, sign(0) = +1.
// Errors: w is a scalar, or its outputs have no elements.
Var MeanAbs(const Var& w);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CHANNEL_SCALE_H_
