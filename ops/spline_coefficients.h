// What the coefficients c_0 .. c_{S-1} of one linear spline say: its slopes, its norms, its knots. Plain functions in
// double, without a tape. The spline is sigma(x) of ops/kernels/spline.h, with knots at k T.
//
// Slopes: a_k = (c_{k-1} - 2 c_k + c_{k+1}) / T at the S - 2 inner knots, by which the slope of sigma changes there, so
// that sigma(x) = b0 + b1 x + sum a_k (x - k T)_+. (By T, not by T^2: a ReLU on the grid has the one slope 1.)
// A second difference that is not larger than what rounding three coefficients to float can make of 0 is 0.
//
// Source: Bohra, Campos et al., "Learning activation functions in deep (spline) neural networks" (2020), and Aziznejad
// et al., arXiv 2001.06263.

#ifndef BITGRAD_OPS_SPLINE_COEFFICIENTS_H_
#define BITGRAD_OPS_SPLINE_COEFFICIENTS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/ops/kernels/spline_slopes.h"

namespace bitgrad {

// REQUIRES of all: grid.status().ok(); the coefficients are grid.knots.

// a at the knots 1 .. S - 2.
std::vector<double> SplineSlopes(absl::Span<const float> c, const SplineGrid& grid);

// TV2(sigma) = sum |a_k|, the second-order total variation.
double Tv2(absl::Span<const float> c, const SplineGrid& grid);
// ||sigma||_BV2 = TV2(sigma) + |sigma(0)| + |sigma(1)|. At least the largest |slope| of sigma, because the slope
// anywhere is within TV2 of sigma(1) - sigma(0), the mean slope between 0 and 1.
double Bv2(absl::Span<const float> c, const SplineGrid& grid);
// The largest |slope| of sigma: its Lipschitz constant.
double LargestSlope(absl::Span<const float> c, const SplineGrid& grid);

// How many a_k are larger than the threshold, in absolute value.
int64_t ActiveKnots(absl::Span<const float> c, const SplineGrid& grid, double threshold);
// Makes all slopes of |a_k| < threshold 0, and c that of the other slopes with the same two left-most coefficients:
//
//   c_i = 2 c_{i-1} - c_{i-2} + T a_{i-1}
//
// Where there is nothing to remove, c stays as it is to the last bit; so doing it twice is doing it once.
void SparsifySpline(const SplineGrid& grid, double threshold, absl::Span<float> c);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_SPLINE_COEFFICIENTS_H_
