// PendingValue: a node's value that is computed lazily, when somebody reads it first. An op that needs less than the
// whole value may compute that directly from what the value is made of, and then the value is never computed: a binary
// layer takes the sign bits of batch norm's output straight from batch norm's input (ops/pending_batch_norm.h).

#ifndef BITGRAD_GRAPH_PENDING_VALUE_H_
#define BITGRAD_GRAPH_PENDING_VALUE_H_

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

class PendingValue {
 public:
  virtual ~PendingValue() = default;
  virtual Tensor Compute(ExecContext& context) const = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_PENDING_VALUE_H_
