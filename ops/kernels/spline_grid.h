// SplineGrid: where the knots of a linear spline are, which kernels, the op and the interpreter have to agree on.

#ifndef BITGRAD_OPS_KERNELS_SPLINE_GRID_H_
#define BITGRAD_OPS_KERNELS_SPLINE_GRID_H_

#include <cmath>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace bitgrad {

// S knots k T, k = -(S - 1) / 2 .. (S - 1) / 2, with T = range / ((S - 1) / 2). (The authors' code rounds T down to a
// multiple of 1e-6; here it is not rounded.)
struct SplineGrid {
  // The index of an interval takes one byte.
  static constexpr int64_t kMostKnots = 255;
  int64_t knots = 0;  // S
  float range = 0;    // of the last knot

  float step() const { return range / static_cast<float>(knots / 2); }
  float inverse_step() const { return static_cast<float>(knots / 2) / range; }

  // InvalidArgument, naming the number, unless S is odd and in [3, kMostKnots], and the range is positive, and finite
  // as its inverse is.
  absl::Status status() const {
    if (knots < 3 || knots > kMostKnots || knots % 2 == 0) {
      return absl::InvalidArgumentError(absl::StrCat(knots, " knots; it has to be an odd number from 3 to ", kMostKnots,
                                                     ", so that one of them is at 0"));
    }
    if (!(range > 0) || !std::isfinite(range) || !std::isfinite(inverse_step()) || !(step() > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("range ", range, "; it has to be a positive number, and so has the distance of knots"));
    }
    return absl::OkStatus();
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SPLINE_GRID_H_
