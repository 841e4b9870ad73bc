// ScalePenalty: what BNN+ adds to the loss so that latent weights gather around +-alpha, the scale of their binary
// form, and alpha around their magnitudes.
//
//   kR1:  sum |alpha - |w||        kR2:  sum (alpha - |w|)^2          over all elements of w
//
// w [O, ..] and alpha [1] or [O] float32 -> one number, []. For fixed w the minimum lies at alpha = median |w| (R1) or
// mean |w| (R2). The gradients are in ops/kernels/scale_penalty.h. Multiply it with lambda (1e-7 to 1e-6 in the paper,
// growing while a net trains) and add it to the loss: Model::Penalty().
//
// Source: Darabi et al., "Regularized binary network training" (BNN+), arXiv 1812.11800, section 3.1.
//
// Errors: w is a scalar or has no elements; alpha is neither [1] nor [O].

#ifndef BITGRAD_OPS_SCALE_PENALTY_H_
#define BITGRAD_OPS_SCALE_PENALTY_H_

#include "bitgrad/graph/var.h"
#include "bitgrad/ops/kernels/scale_penalty.h"

namespace bitgrad {

Var ScalePenalty(const Var& w, const Var& alpha, ScalePenaltyKind kind);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_SCALE_PENALTY_H_
