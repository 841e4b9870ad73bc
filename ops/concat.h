// Concat: joins along the last dimension (features). [.., n1], [.., n2], ... -> [.., n1 + n2 + ...]; the
// leading dimensions are equal. Each input's gradient is its slice of dy.

#ifndef BITGRAD_OPS_CONCAT_H_
#define BITGRAD_OPS_CONCAT_H_

#include "absl/types/span.h"
#include "bitgrad/graph/var.h"

namespace bitgrad {

Var Concat(absl::Span<const Var> inputs);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CONCAT_H_
