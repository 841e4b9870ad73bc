#include "bitgrad/ops/spline_coefficients.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bitgrad {
namespace {

double StepOf(const SplineGrid& grid) { return static_cast<double>(grid.range) / static_cast<double>(grid.knots / 2); }

}  // namespace

std::vector<double> SplineSlopes(absl::Span<const float> c, const SplineGrid& grid) {
  const double step = StepOf(grid);
  // Each coefficient is off by half a unit in its last place at most, and the middle one counts twice.
  constexpr double kRounding = 2.0 * std::numeric_limits<float>::epsilon();
  std::vector<double> slopes;
  for (size_t k = 1; k + 1 < c.size(); ++k) {
    const double difference = static_cast<double>(c[k - 1]) - 2.0 * c[k] + c[k + 1];
    const double most = std::max({std::fabs(c[k - 1]), std::fabs(c[k]), std::fabs(c[k + 1])});
    slopes.push_back(std::fabs(difference) <= kRounding * most ? 0.0 : difference / step);
  }
  return slopes;
}

SplinePlace PlaceOnSpline(double x, const SplineGrid& grid) {
  const double p = x / StepOf(grid) + static_cast<double>(grid.knots / 2);
  const double interval = std::clamp(std::floor(p), 0.0, static_cast<double>(grid.knots - 2));
  return {static_cast<int64_t>(interval), p - interval};
}

double SplineAt(absl::Span<const float> c, double x, const SplineGrid& grid) {
  const SplinePlace place = PlaceOnSpline(x, grid);
  const size_t i = static_cast<size_t>(place.interval);
  return (1 - place.t) * c[i] + place.t * c[i + 1];
}

double Tv2(absl::Span<const float> c, const SplineGrid& grid) {
  double sum = 0;
  for (const double slope : SplineSlopes(c, grid)) sum += std::fabs(slope);
  return sum;
}

double Bv2(absl::Span<const float> c, const SplineGrid& grid) {
  return Tv2(c, grid) + std::fabs(SplineAt(c, 0, grid)) + std::fabs(SplineAt(c, 1, grid));
}

double LargestSlope(absl::Span<const float> c, const SplineGrid& grid) {
  double largest = 0;
  for (size_t i = 0; i + 1 < c.size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(c[i + 1]) - c[i]));
  }
  return largest / StepOf(grid);
}

int64_t ActiveKnots(absl::Span<const float> c, const SplineGrid& grid, double threshold) {
  const std::vector<double> slopes = SplineSlopes(c, grid);
  return std::count_if(slopes.begin(), slopes.end(), [&](double a) { return std::fabs(a) > threshold; });
}

void SparsifySpline(const SplineGrid& grid, double threshold, absl::Span<float> c) {
  std::vector<double> slopes = SplineSlopes(c, grid);
  bool removes = false;
  for (double& slope : slopes) {
    if (slope == 0 || std::fabs(slope) >= threshold) continue;
    slope = 0;
    removes = true;
  }
  if (!removes) return;
  const double step = StepOf(grid);
  double before = c[0], last = c[1];
  for (size_t i = 2; i < c.size(); ++i) {
    const double next = 2 * last - before + step * slopes[i - 2];
    before = last;
    last = next;
    c[i] = static_cast<float>(next);
  }
}

}  // namespace bitgrad
