// Which ops behind a linear one fold into integer thresholds, and the thresholds.

#ifndef BITGRAD_EXPORT_FOLD_H_
#define BITGRAD_EXPORT_FOLD_H_

#include <vector>

#include "absl/status/statusor.h"
#include "core/exec_context.h"
#include "export/recording.h"
#include "export/threshold.h"
#include "ops/quantizers/quantizer.h"

namespace bitgrad {

// The nodes between a linear node and the binary inputs that take its result, in order; the last one is what the
// consumers read. Empty, with `folds` false, where something else needs the value or an op is not monotone.
struct FoldChain {
  bool folds = false;
  std::vector<int> nodes;
  Quantizer quantizer;  // of the consumers
};
FoldChain FindFoldChain(const Recording& recording, int linear);

// The thresholds of `linear`, whose sums are integers in [-limit, limit], scaled by `scale`. Runs the graph's kernels on
// candidate sums.
absl::StatusOr<Thresholds> FoldThresholds(ExecContext& context, const Recording& recording, int linear,
                                          const FoldChain& chain, float scale, int32_t limit);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_FOLD_H_
