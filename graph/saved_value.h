// SavedValue: a value that a backward function keeps: the tensor itself or, where the op that made it can make it again
// from less memory, the way to do so.
//
// The output of a binary layer takes 32 times the memory of its operands' bits, and making it again takes a thirtieth
// of a float product's time.

#ifndef BITGRAD_GRAPH_SAVED_VALUE_H_
#define BITGRAD_GRAPH_SAVED_VALUE_H_

#include <functional>
#include <memory>
#include <utility>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

// Makes a node's value once more: the same bits as in the forward pass.
struct Recomputation {
  std::function<Tensor(ExecContext&)> compute;
  // How many ops `compute` runs. An op whose input is itself recomputed (a pool behind a binary convolution) calls its
  // input's recomputation from its own, so this is also how deep the calls are nested, and kMaxOps bounds it: the op
  // after that many keeps its value. Otherwise a long chain of pools would overflow the stack.
  int ops = 1;
  static constexpr int kMaxOps = 8;
};

class SavedValue {
 public:
  explicit SavedValue(Tensor value) : value_(std::move(value)) {}
  explicit SavedValue(std::shared_ptr<const Recomputation> recomputation) : recomputation_(std::move(recomputation)) {}

  Tensor Get(ExecContext& context) const {
    return recomputation_ == nullptr ? value_.Alias() : recomputation_->compute(context);
  }

 private:
  Tensor value_;
  std::shared_ptr<const Recomputation> recomputation_;
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_SAVED_VALUE_H_
