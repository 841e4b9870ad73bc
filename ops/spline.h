// Learned activation functions: linear splines, one for each channel (deep splines: Bohra, Campos et al. 2020;
// Aziznejad, Gupta, Campos, Unser, "Deep neural networks with trainable activations and controlled Lipschitz constant",
// IEEE TSP 2020, arXiv 2001.06263).
//
//   Spline           y = sigma_n(x), x [.., channels], n = channel; c [channels, S] -> y, of the shape of x
//                    sigma_n is the line through (k T, c_{n,k}), k = -(S-1)/2 .. (S-1)/2, T = range / ((S-1)/2), beyond
//                    the last knots the lines through the last two (formulas: ops/kernels/spline.h)
//                    dx = dy (c_{i+1} - c_i) / T     dc_i = sum dy (1 - t)     dc_{i+1} = sum dy t
//   AddLinearTerm    c'_{n,k} = c_{n,k} + b0_n + b1_n k T: the coefficients of sigma_n(x) + b0_n + b1_n x; b0, b1
//                    [channels]. db0 = sum_k dc', db1 = sum_k k T dc'
//   Sparsify         c without the slopes below a threshold (ops/spline_coefficients.h). For evaluation: no gradient
//   SplinePenalty    [] : sum over channels of TV2(sigma_n), or of its BV2 norm TV2 + |sigma(0)| + |sigma(1)|, with the
//                    subgradient that is 0 at 0
//
// What Spline keeps for its backward pass: x itself, with no copy, where c wants a gradient: dc needs t, which is x's
// place between two knots, and only x (or a float as large) says it exactly. x also gives the interval, so that an
// index beside it would be bytes for nothing. y would not do, although the next product keeps it: where c_i = c_{i+1},
// as a ReLU has it, y does not say t. x is kept as SavedValue: a binary layer's sums are computed again, not kept.
// Where c wants no gradient, one byte per element is kept, the interval, which is all that dx needs.
// So it takes what Relu() takes, which keeps x (the authors' memory-saving form keeps x as well; their fast one keeps t
// and 64-bit indices).
//
// Infinities give what the formula does: NaN where sigma is flat.
//
// Errors: x has no dimension, or not as many channels as c; c is not [channels, S]; a grid that SplineGrid::status()
// refuses; a negative or NaN threshold.

#ifndef BITGRAD_OPS_SPLINE_H_
#define BITGRAD_OPS_SPLINE_H_

#include "bitgrad/graph/var.h"
#include "bitgrad/ops/kernels/spline.h"

namespace bitgrad {

// `threshold`: below which a slope is no knot for whoever counts them; it changes no value.
Var Spline(const Var& x, const Var& c, float range, float threshold = 0);
Var AddLinearTerm(const Var& c, const Var& b0, const Var& b1, float range);
Var Sparsify(const Var& c, float range, float threshold);

Var SplinePenalty(const Var& c, float range, SplinePenaltyKind kind);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_SPLINE_H_
