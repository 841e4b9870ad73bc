// The kernels of linear spline activations (ops/spline.h): the contract, and who has them.
//
// A function with S coefficients c_0 .. c_{S-1} on a grid of step T, the middle one of which belongs to 0, in float
// arithmetic without fused operations, so that all instruction sets give the same bits:
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
//
// They are no members of the table of kernels (ops/kernels/kernels.h), because only the CPU has them.

#ifndef BITGRAD_OPS_SPLINE_KERNEL_H_
#define BITGRAD_OPS_SPLINE_KERNEL_H_

#include <cstdint>

#include "bitgrad/core/device.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/spline_grid.h"

namespace bitgrad {

// All matrices are contiguous, [rows, channels]; coefficients are [channels, S].
// REQUIRES: channels * S < 2^31.
struct SplineKernels {
  // `intervals`, uint8 [rows, channels], gets each i; null: it is not wanted.
  void (*forward)(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                  float* y, uint8_t* intervals);
  // `dx` may be null. Sums of dc are accumulated in blocks that depend on the shape alone: the same bits on any number
  // of threads.
  void (*backward)(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                   const float* dy, float* dx, float* dc);
  // dx alone, which needs the intervals, but not x.
  void (*backward_input)(ExecContext& context, const SplineGrid& grid, int64_t rows, int64_t channels,
                         const uint8_t* intervals, const float* coefficients, const float* dy, float* dx);
};

// Null where the device has none.
const SplineKernels* SplineKernelsFor(Device device);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_SPLINE_KERNEL_H_
