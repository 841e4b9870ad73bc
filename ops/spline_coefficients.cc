#include "bitgrad/ops/spline_coefficients.h"

#include <algorithm>
#include <cmath>

namespace bitgrad {

std::vector<double> SplineSlopes(absl::Span<const float> c, const SplineGrid& grid) {
  const double step = SplineStep(grid);
  std::vector<double> slopes;
  for (int64_t k = 1; k + 1 < grid.knots; ++k) slopes.push_back(SplineSlope(c.data(), k, step));
  return slopes;
}

double Tv2(absl::Span<const float> c, const SplineGrid& grid) {
  double sum = 0;
  for (const double slope : SplineSlopes(c, grid)) sum += std::fabs(slope);
  return sum;
}

double Bv2(absl::Span<const float> c, const SplineGrid& grid) {
  return Tv2(c, grid) + std::fabs(SplineAt(c.data(), 0, grid)) + std::fabs(SplineAt(c.data(), 1, grid));
}

double LargestSlope(absl::Span<const float> c, const SplineGrid& grid) {
  double largest = 0;
  for (size_t i = 0; i + 1 < c.size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(c[i + 1]) - c[i]));
  }
  return largest / SplineStep(grid);
}

int64_t ActiveKnots(absl::Span<const float> c, const SplineGrid& grid, double threshold) {
  const std::vector<double> slopes = SplineSlopes(c, grid);
  return std::count_if(slopes.begin(), slopes.end(), [&](double a) { return std::fabs(a) > threshold; });
}

void SparsifySpline(const SplineGrid& grid, double threshold, absl::Span<float> c) {
  const std::vector<float> before(c.begin(), c.end());
  WithoutSmallSlopes(grid, threshold, before.data(), c.data());
}

}  // namespace bitgrad
