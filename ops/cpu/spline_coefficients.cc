// What is computed from the coefficients of splines: a few thousand numbers, on one thread.

#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/kernels/spline_slopes.h"

namespace bitgrad::cpu {
namespace {

float Knot(const SplineGrid& grid, int64_t k) { return static_cast<float>(k - grid.knots / 2) * grid.step(); }

double Sign(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0; }

}  // namespace

void SplineLinearTermForward(ExecContext&, const SplineGrid& grid, int64_t channels, const float* c, const float* b0,
                             const float* b1, float* y) {
  for (int64_t n = 0; n < channels; ++n) {
    for (int64_t k = 0; k < grid.knots; ++k) {
      const int64_t at = n * grid.knots + k;
      y[at] = c[at] + (b0[n] + b1[n] * Knot(grid, k));
    }
  }
}

void SplineLinearTermBackward(ExecContext&, const SplineGrid& grid, int64_t channels, const float* dc, float* db0,
                              float* db1) {
  for (int64_t n = 0; n < channels; ++n) {
    double sum = 0, moment = 0;
    for (int64_t k = 0; k < grid.knots; ++k) {
      const double g = dc[n * grid.knots + k];
      sum += g;
      moment += g * Knot(grid, k);
    }
    db0[n] = static_cast<float>(sum);
    db1[n] = static_cast<float>(moment);
  }
}

void SparsifySplines(ExecContext&, const SplineGrid& grid, int64_t channels, float threshold, const float* c,
                     float* y) {
  for (int64_t n = 0; n < channels; ++n) {
    WithoutSmallSlopes(grid, threshold, c + n * grid.knots, y + n * grid.knots);
  }
}

void SplinePenaltyForward(ExecContext&, const SplineGrid& grid, SplinePenaltyKind kind, int64_t channels,
                          const float* c, float* y) {
  const double step = SplineStep(grid);
  double sum = 0;
  for (int64_t n = 0; n < channels; ++n) {
    const float* const row = c + n * grid.knots;
    double norm = 0;
    for (int64_t k = 1; k < grid.knots - 1; ++k) norm += std::fabs(SplineSlope(row, k, step));
    if (kind == SplinePenaltyKind::kBv2) {
      norm += std::fabs(SplineAt(row, 0, grid)) + std::fabs(SplineAt(row, 1, grid));
    }
    sum += norm;
  }
  *y = static_cast<float>(sum);
}

void SplinePenaltyBackward(ExecContext&, const SplineGrid& grid, SplinePenaltyKind kind, int64_t channels,
                           const float* c, const float* dy, float* dc) {
  const double step = SplineStep(grid), gradient = *dy;
  std::vector<double> sums(static_cast<size_t>(grid.knots));
  for (int64_t n = 0; n < channels; ++n) {
    const float* const row = c + n * grid.knots;
    sums.assign(sums.size(), 0.0);
    for (int64_t k = 1; k < grid.knots - 1; ++k) {
      const double g = gradient * Sign(SplineSlope(row, k, step)) / step;
      sums[k - 1] += g;
      sums[k] -= 2 * g;
      sums[k + 1] += g;
    }
    for (const double x : {0.0, 1.0}) {
      if (kind != SplinePenaltyKind::kBv2) break;
      const double g = gradient * Sign(SplineAt(row, x, grid));
      const SplinePlace place = PlaceOnSpline(x, grid);
      sums[place.interval] += g * (1 - place.t);
      sums[place.interval + 1] += g * place.t;
    }
    for (int64_t k = 0; k < grid.knots; ++k) dc[n * grid.knots + k] = static_cast<float>(sums[k]);
  }
}

}  // namespace bitgrad::cpu
