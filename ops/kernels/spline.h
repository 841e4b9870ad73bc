// Linear spline activations (ops/spline.h), one for each channel, and what is computed from their coefficients.
//
// A function with S coefficients c_0 .. c_{S-1} on a grid of step T, the middle one of which belongs to 0, in float
// arithmetic without fused operations, so that all devices give the same bits:
//
//   p = x / T + (S - 1) / 2         with 1 / T rounded once
//   i = 0 for p <= 0 and NaN, otherwise min(floor(p), S - 2)
//   t = p - i                       in [0, 1) on the grid, outside of it beyond
//   y = c_i + t (c_{i+1} - c_i)
//
// The last interval is S - 2, so the right clamp is at the second right-most knot. Because t goes on beyond the ends
// instead of being clamped, the same line is the linear extrapolation, and its derivatives are those of the
// extrapolation, too: there is no second term that could be counted twice.
//
//   dx = dy (c_{i+1} - c_i) / T     dc_i += dy (1 - t)     dc_{i+1} += dy t

#ifndef BITGRAD_OPS_KERNELS_SPLINE_H_
#define BITGRAD_OPS_KERNELS_SPLINE_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/spline_grid.h"

namespace bitgrad {

// ---- Values. All matrices are contiguous, [rows, channels]; coefficients are [channels, S].
// REQUIRES: channels * S < 2^31.

// y. `intervals`, uint8 [rows, channels], gets each i; null: it is not wanted.
using SplineForward = void(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x,
                           const float* coefficients, float* y, uint8_t* intervals);
// dx, which may be null, and dc [channels, S]. Sums of dc are accumulated in blocks that depend on the shape alone: the
// same bits on any number of threads.
using SplineBackward = void(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x,
                            const float* coefficients, const float* dy, float* dx, float* dc);
// dx alone, which needs the intervals, but not x.
using SplineBackwardInput = void(ExecContext& context, const SplineGrid& grid, int64_t rows, int64_t channels,
                                 const uint8_t* intervals, const float* coefficients, const float* dy, float* dx);

// ---- Coefficients. c, y, dc [channels, S]; b0, b1, db0, db1 [channels]. REQUIRES: channels * S < 2^31.

// y_{n,k} = c_{n,k} + (b0_n + b1_n k T), with the knots k = -(S-1)/2 .. (S-1)/2.
using SplineLinearTermForward = void(ExecContext& context, const SplineGrid& grid, int64_t channels, const float* c,
                                     const float* b0, const float* b1, float* y);
// db0_n = sum_k dc_{n,k}, db1_n = sum_k dc_{n,k} k T, in double.
using SplineLinearTermBackward = void(ExecContext& context, const SplineGrid& grid, int64_t channels, const float* dc,
                                      float* db0, float* db1);

// y = c without the slopes below the threshold (WithoutSmallSlopes() of spline_slopes.h).
using SparsifySplines = void(ExecContext& context, const SplineGrid& grid, int64_t channels, float threshold,
                             const float* c, float* y);

// A norm of a spline: TV2 is the sum of its |slopes| a_k (spline_slopes.h); BV2 is TV2 + |sigma(0)| + |sigma(1)|.
enum class SplinePenaltyKind { kTv2, kBv2 };

// *y = the sum of the norm over the channels, accumulated in double.
using SplinePenaltyForward = void(ExecContext& context, const SplineGrid& grid, SplinePenaltyKind kind,
                                  int64_t channels, const float* c, float* y);
// dc = *dy times the norm's subgradient that is 0 at 0, accumulated in double.
using SplinePenaltyBackward = void(ExecContext& context, const SplineGrid& grid, SplinePenaltyKind kind,
                                   int64_t channels, const float* c, const float* dy, float* dc);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SPLINE_H_
