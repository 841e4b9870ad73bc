// The pass that makes integer thresholds of everything monotone between exact sums and a quantizer of few bits.
//
// A linear or conv2d whose operands have integer codes gives exact integer sums, and so does an average_pool of codes
// without a border. Where what follows, up to the quantizers that read the result, is a monotone function of each sum
// (scale, bias, batch norm, monotone activations), the stored code of the quantizer counts how many integer thresholds
// the sum has reached (export/threshold.h), so that nets of few bits run from code to code. The thresholds are found by
// running the graph's own kernels on candidate sums, so the folded result has the kernels' bits, for gamma < 0 and
// gamma = 0 too.
//
// The chain may also have a max_pool, either as its first operation or after all monotone ones, and a reshape as its
// last. With g the composition of the monotone ones and of the quantizer, as stored codes from 0 to L:
//
//   g increasing:   g(max x) = max g(x)              the pool is the first: the flip is applied behind the pool
//   g decreasing:   g(max x) = L - max (L - g(x))
//   max g(x)                                         the pool is behind: the flip is applied before the pool
//
// Where another operation reads one of the values between, or one is not monotone, nothing folds.

#ifndef BITGRAD_EXPORT_FOLD_THRESHOLDS_H_
#define BITGRAD_EXPORT_FOLD_THRESHOLDS_H_

#include "absl/status/status.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/program.h"

namespace bitgrad {

// Quantizers of at most max_levels + 1 codes fold. REQUIRES: the context is on the CPU; constants are folded. An error
// where a chain gives a NaN or an infinity: the parameters are damaged.
absl::Status FoldThresholds(ExecContext& context, int max_levels, program::Program& program);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_FOLD_THRESHOLDS_H_
