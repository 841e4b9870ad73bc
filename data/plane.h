// The built-in sets of points in a plane: area classification, as the papers of deep splines have it (arXiv
// 2001.06263). For nets small enough to be seen through.
//
//   circle    class 1: x^2 + y^2 < 2 / pi, a disc of half the area
//   s_shape   class 1: |x - 0.4 sin(-5 y)| < 0.3 and |y| < 0.8
//
// 1500 points to train on, uniform in [-1, 1]^2; the test set is a grid over the square.
//
// A point is an image of 1 x 2 pixels, p and q, with x = (2 p - 255) / 255 and y alike (normalize.h). So coordinates
// are multiples of 1 / 255, training points are drawn from 256 x 256 places, and the test set has all of these: a grid
// of step 2 / 255, where the papers' has 0.01. Labels are those of the rounded points.
//
// Training point i depends on (seed, i) alone.

#ifndef BITGRAD_DATA_PLANE_H_
#define BITGRAD_DATA_PLANE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

inline constexpr int64_t kPlaneTrainExamples = 1500;
inline constexpr int64_t kPlaneTestExamples = 256 * 256;
inline constexpr int64_t kPlaneClasses = 2;

// The class of the point that the pixels stand for.
bool IsInCircle(uint8_t p, uint8_t q);
bool IsInSShape(uint8_t p, uint8_t q);

// Use split, seed and limit of `options`.
absl::StatusOr<Dataset> LoadCircle(const LoadOptions& options);
absl::StatusOr<Dataset> LoadSShape(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_PLANE_H_
