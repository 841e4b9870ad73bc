// Which ops behind a linear or conv2d fold into integer thresholds, and what the thresholds are.

#ifndef BITGRAD_EXPORT_FOLD_H_
#define BITGRAD_EXPORT_FOLD_H_

#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/tape_graph.h"
#include "bitgrad/export/threshold.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// The nodes between a linear or conv2d node and the products that binarize its result, in order: bias, batch norm,
// activation. The consumers read the last of them. Where another op needs one of the values, or an op between is not
// monotone, nothing folds: `folds` is false and the chain is empty.
//
// After a conv2d the chain may also have a max_pool, either as its first node or after all monotone ones, and a reshape
// as its last node. With g the composition of the monotone ops, increasing or decreasing:
//
//   sign(g(max x)) = (OR (x >= t)) != flip      where the pool is the first node: the flip is applied behind the pool
//   sign(max g(x)) = OR ((x >= t) != flip)      where the pool is behind: the flip is applied before the pool
struct FoldChain {
  bool folds = false;
  std::vector<int> nodes;
  Quantizer quantizer;  // of the consumers
  int pool = -1;        // the max_pool among the nodes
  bool pool_is_first = false;
  int reshape = -1;  // the reshape among the nodes
};
FoldChain FindFoldChain(const TapeGraph& graph, int product);

// The thresholds of `product`, whose sums are integers in [-limit, limit], scaled by `scale`. Runs the graph's kernels
// on candidate sums. REQUIRES: the context is on the CPU.
absl::StatusOr<Thresholds> FoldThresholds(ExecContext& context, const TapeGraph& graph, int product,
                                          const FoldChain& chain, float scale, int32_t limit);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_FOLD_H_
