// Dropout (Srivastava et al., JMLR 15, 2014), inverted: in training each element is kept with probability
// `keep` and divided by it, else 0; in evaluation x passes unchanged.
//
//   dx = dy * mask / keep
//
// The mask is not kept for the backward pass; it is drawn again from the same random stream.

#ifndef BITGRAD_OPS_DROPOUT_H_
#define BITGRAD_OPS_DROPOUT_H_

#include "bitgrad/graph/var.h"

namespace bitgrad {

// Errors: keep outside (0, 1].
Var ApplyDropout(const Var& x, float keep);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_DROPOUT_H_
