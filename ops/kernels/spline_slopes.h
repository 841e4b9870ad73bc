// The arithmetic of one linear spline's coefficients c_0 .. c_{S-1}, in double, for all devices; what it means is in
// ops/spline_coefficients.h. Arrays are [S].

#ifndef BITGRAD_OPS_KERNELS_SPLINE_SLOPES_H_
#define BITGRAD_OPS_KERNELS_SPLINE_SLOPES_H_

#include <cmath>
#include <cstdint>

#include "bitgrad/ops/kernels/spline_grid.h"

namespace bitgrad {

// T, which is not rounded to float here.
constexpr double SplineStep(const SplineGrid& grid) {
  return static_cast<double>(grid.range) / static_cast<double>(grid.knots / 2);
}

// a_k = (c_{k-1} - 2 c_k + c_{k+1}) / T, or 0 where the second difference is not larger than what rounding three
// coefficients to float can make of 0. REQUIRES: 0 < k < S - 1.
constexpr double SplineSlope(const float* c, int64_t k, double step) {
  // Each coefficient is off by half a unit in its last place at most, and the middle one counts twice.
  constexpr double kRounding = 0x1p-22;
  const double left = c[k - 1], middle = c[k], right = c[k + 1];
  const double difference = left - 2.0 * middle + right;
  double most = std::fabs(left);
  if (std::fabs(middle) > most) most = std::fabs(middle);
  if (std::fabs(right) > most) most = std::fabs(right);
  return std::fabs(difference) <= kRounding * most ? 0.0 : difference / step;
}

// sigma(x) = (1 - t) c_i + t c_{i+1}.
struct SplinePlace {
  int64_t interval = 0;  // i
  double t = 0;
};
constexpr SplinePlace PlaceOnSpline(double x, const SplineGrid& grid) {
  const double p = x / SplineStep(grid) + static_cast<double>(grid.knots / 2);
  const double last = static_cast<double>(grid.knots - 2);
  const double floor = std::floor(p);
  const double interval = floor > 0.0 ? (floor < last ? floor : last) : 0.0;
  return {static_cast<int64_t>(interval), p - interval};
}
constexpr double SplineAt(const float* c, double x, const SplineGrid& grid) {
  const SplinePlace place = PlaceOnSpline(x, grid);
  const float* const ends = c + place.interval;
  return (1 - place.t) * static_cast<double>(ends[0]) + place.t * static_cast<double>(ends[1]);
}

// y = the coefficients of the spline without the slopes of |a_k| < threshold, with the same two left-most ones:
// c_{i+1} = 2 c_i - c_{i-1} + T a_i. Where there is nothing to remove, y = c.
constexpr void WithoutSmallSlopes(const SplineGrid& grid, double threshold, const float* c, float* y) {
  const double step = SplineStep(grid);
  const auto is_small = [&](double slope) { return slope != 0 && std::fabs(slope) < threshold; };
  bool removes = false;
  for (int64_t k = 0; k < grid.knots; ++k) {
    y[k] = c[k];
    if (k > 0 && k < grid.knots - 1 && is_small(SplineSlope(c, k, step))) removes = true;
  }
  if (!removes) return;
  double before = c[0], last = c[1];
  for (int64_t k = 1; k < grid.knots - 1; ++k) {
    const double slope = SplineSlope(c, k, step);
    const double next = 2 * last - before + step * (is_small(slope) ? 0.0 : slope);
    before = last;
    last = next;
    y[k + 1] = static_cast<float>(next);
  }
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SPLINE_SLOPES_H_
