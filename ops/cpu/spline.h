// Linear spline activations: the functions of SplineKernels (ops/spline_kernel.h), which says what they compute.

#ifndef BITGRAD_OPS_CPU_SPLINE_H_
#define BITGRAD_OPS_CPU_SPLINE_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/spline_grid.h"

namespace bitgrad::cpu {

// Some rows and columns of a contiguous matrix [rows, channels], or all of some rows joined: `repeats` runs of `count`
// elements, `stride` apart, with channel * knots of each element of a run.
struct SplineTile {
  const int32_t* offsets;
  int64_t count, repeats, stride;
};

struct SplineConstants {
  float inverse_step, middle, last_interval;
};

void SplineForward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                   float* y, uint8_t* intervals);
void SplineBackward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                    const float* dy, float* dx, float* dc);
void SplineBackwardInput(ExecContext& context, const SplineGrid& grid, int64_t rows, int64_t channels,
                         const uint8_t* intervals, const float* coefficients, const float* dy, float* dx);

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_SPLINE_H_
