// Dropout (Srivastava et al., JMLR 15, 2014). In training each element is kept with probability `keep`, else it is 0:
//
//   kInTraining     y = x mask / keep      dx = dy mask / keep      in evaluation y = x ("inverted dropout")
//   kInEvaluation   y = x mask             dx = dy mask             in evaluation y = keep x
//
// Evaluation with kInEvaluation is the paper's: to scale x is to scale the weights that it is multiplied with.
//
// The mask is not kept for the backward pass; it is drawn again from the same random stream.

#ifndef BITGRAD_OPS_DROPOUT_H_
#define BITGRAD_OPS_DROPOUT_H_

#include "bitgrad/graph/var.h"

namespace bitgrad {

// Errors: keep outside (0, 1].
enum class DropoutScaling { kInTraining, kInEvaluation };

Var ApplyDropout(const Var& x, float keep, DropoutScaling scaling = DropoutScaling::kInTraining);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_DROPOUT_H_
