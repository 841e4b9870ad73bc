// PendingValue: a node's value that is computed when somebody reads it. An op that knows a shorter way from what the
// value is made of to what it needs (from batch norm's input straight to sign bits) takes it, and the value never
// exists.

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
