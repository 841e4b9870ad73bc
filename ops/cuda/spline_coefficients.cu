// What is computed from the coefficients of splines: a few thousand numbers, so each kernel takes as long as its
// launch.

#include <cstdint>

#include "bitgrad/ops/cuda/block_sum.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/sums_over_rows.h"
#include "bitgrad/ops/kernels/spline_slopes.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Not in an anonymous namespace, because device lambdas cannot capture types from there.
struct SplineKnots {
  int64_t middle;
  float step;

  explicit SplineKnots(const SplineGrid& grid) : middle(grid.knots / 2), step(grid.step()) {}
  __device__ float At(int64_t k) const { return static_cast<float>(k - middle) * step; }
};

namespace {

__device__ double SignOf(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; }

}  // namespace

void SplineLinearTermForward(ExecContext& context, const SplineGrid& grid, int64_t channels, const float* c,
                             const float* b0, const float* b1, float* y) {
  const SplineKnots knots(grid);
  const int64_t count = grid.knots;
  ForCells(context, "spline_linear_term_forward", channels, count, [=] __device__(int64_t n, int64_t k) {
    const int64_t at = n * count + k;
    y[at] = c[at] + (b0[n] + b1[n] * knots.At(k));
  });
}

void SplineLinearTermBackward(ExecContext& context, const SplineGrid& grid, int64_t channels, const float* dc,
                              float* db0, float* db1) {
  const SplineKnots knots(grid);
  const int64_t count = grid.knots;
  SumOverRows(
      context, "spline_linear_term_backward", channels, count,
      [=] __device__(int64_t n, int64_t k) { return static_cast<double>(dc[n * count + k]); },
      [=] __device__(int64_t n, double sum) { db0[n] = static_cast<float>(sum); });
  SumOverRows(
      context, "spline_linear_term_backward", channels, count,
      [=] __device__(int64_t n, int64_t k) { return static_cast<double>(dc[n * count + k]) * knots.At(k); },
      [=] __device__(int64_t n, double sum) { db1[n] = static_cast<float>(sum); });
}

void SparsifySplines(ExecContext& context, const SplineGrid& grid, int64_t channels, float threshold, const float* c,
                     float* y) {
  ForElements(context, "sparsify_splines", channels, [=] __device__(int64_t n) {
    WithoutSmallSlopes(grid, threshold, c + n * grid.knots, y + n * grid.knots);
  });
}

void SplinePenaltyForward(ExecContext& context, const SplineGrid& grid, SplinePenaltyKind kind, int64_t channels,
                          const float* c, float* y) {
  const int64_t count = channels * grid.knots;
  SumOverGrid(
      context, "spline_penalty_forward", SumBlocks(count),
      [=] __device__() {
        const double step = SplineStep(grid);
        double sum = 0;
        ForEachCell(channels, grid.knots, [&](int64_t n, int64_t k) {
          const float* const row = c + n * grid.knots;
          if (k > 0 && k < grid.knots - 1) sum += fabs(SplineSlope(row, k, step));
          if (k == 0 && kind == SplinePenaltyKind::kBv2) {
            sum += fabs(SplineAt(row, 0, grid)) + fabs(SplineAt(row, 1, grid));
          }
        });
        return sum;
      },
      [=] __device__(double sum) { *y = static_cast<float>(sum); });
}

void SplinePenaltyBackward(ExecContext& context, const SplineGrid& grid, SplinePenaltyKind kind, int64_t channels,
                           const float* c, const float* dy, float* dc) {
  ForCells(context, "spline_penalty_backward", channels, grid.knots, [=] __device__(int64_t n, int64_t k) {
    const float* const row = c + n * grid.knots;
    const double step = SplineStep(grid), gradient = *dy;
    double sum = 0;
    // The slopes that have c_k as a term.
    for (int64_t at = k - 1; at <= k + 1; ++at) {
      if (at < 1 || at > grid.knots - 2) continue;
      const double g = gradient * SignOf(SplineSlope(row, at, step)) / step;
      sum += at == k ? -2 * g : g;
    }
    for (int x = 0; x < 2 && kind == SplinePenaltyKind::kBv2; ++x) {
      const SplinePlace place = PlaceOnSpline(x, grid);
      const double g = gradient * SignOf(SplineAt(row, x, grid));
      if (k == place.interval) sum += g * (1 - place.t);
      if (k == place.interval + 1) sum += g * place.t;
    }
    dc[n * grid.knots + k] = static_cast<float>(sum);
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
