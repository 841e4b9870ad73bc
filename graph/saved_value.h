// SavedValue: a value that a backward function keeps: the tensor or, where the op that made it can make it again from
// less memory, the way to do so.
//
// A binary layer's output is 32 times its operands' bits, and making it again takes a thirtieth of a float product.

#ifndef BITGRAD_GRAPH_SAVED_VALUE_H_
#define BITGRAD_GRAPH_SAVED_VALUE_H_

#include <functional>
#include <memory>
#include <utility>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

// Makes a node's value once more: the same bits as in the forward pass.
using RecomputeFunction = std::function<Tensor(ExecContext&)>;

class SavedValue {
 public:
  explicit SavedValue(Tensor value) : value_(std::move(value)) {}
  explicit SavedValue(std::shared_ptr<const RecomputeFunction> recompute) : recompute_(std::move(recompute)) {}

  Tensor Get(ExecContext& context) const { return recompute_ == nullptr ? value_.Alias() : (*recompute_)(context); }

 private:
  Tensor value_;
  std::shared_ptr<const RecomputeFunction> recompute_;
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_SAVED_VALUE_H_
