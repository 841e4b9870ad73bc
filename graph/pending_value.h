// PendingValue: a node's value that is computed lazily, when somebody reads it first. An op that needs less than the
// whole value may ask for that instead, and then the value is never computed: Quantize takes the sign bits of batch
// norm's output straight from batch norm's input, and products take codes whose floats nobody reads.

#ifndef BITGRAD_GRAPH_PENDING_VALUE_H_
#define BITGRAD_GRAPH_PENDING_VALUE_H_

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

class PendingValue {
 public:
  virtual ~PendingValue() = default;
  virtual Tensor Compute(ExecContext& context) const = 0;

  // Whether Signs() can be called.
  virtual bool has_signs() const { return false; }
  // Computes the signs of the value and, where window.words is not null, for each element whether it lies in [-1, 1].
  // `bits` and `window` have the shape of the value seen as a matrix of its last dimension or, for a value
  // [N, H, W, C], are bit images [N, H*W*C]. REQUIRES: has_signs().
  virtual void Signs(ExecContext& /*context*/, BitMatrixView /*bits*/, BitMatrixView /*window*/) const {}
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_PENDING_VALUE_H_
