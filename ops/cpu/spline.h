// Linear spline activations: the functions of SplineKernels (ops/spline_kernel.h), which says what they compute.

#ifndef BITGRAD_OPS_CPU_SPLINE_H_
#define BITGRAD_OPS_CPU_SPLINE_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/spline_grid.h"

namespace bitgrad::cpu {

struct SplineConstants {
  float inverse_step, middle, last_interval;
};

inline SplineConstants ConstantsOf(const SplineGrid& grid) {
  return {grid.inverse_step(), static_cast<float>(grid.knots / 2), static_cast<float>(grid.knots - 2)};
}

void SplineForward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                   float* y, uint8_t* intervals);
void SplineBackward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                    const float* dy, float* dx, float* dc);
void SplineBackwardInput(ExecContext& context, const SplineGrid& grid, int64_t rows, int64_t channels,
                         const uint8_t* intervals, const float* coefficients, const float* dy, float* dx);

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_SPLINE_H_
