// Which ops behind a linear or conv2d fold into integer thresholds, and the thresholds.

#ifndef BITGRAD_EXPORT_FOLD_H_
#define BITGRAD_EXPORT_FOLD_H_

#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/tape_graph.h"
#include "bitgrad/export/threshold.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// The nodes between a linear or conv2d node and the binary inputs that take its result, in order; the last one is what
// the consumers read. Empty, with `folds` false, where something else needs the value or an op is not monotone.
//
// After a conv2d there may be a max_pool, as the first node or after all monotone ones, and a reshape as the last:
//
//   sign(g(max x)) = (OR (x >= t)) != flip      the pool first: flips come behind it
//   sign(max g(x)) = OR ((x >= t) != flip)      the pool behind
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
