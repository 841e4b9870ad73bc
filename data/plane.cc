#include "bitgrad/data/plane.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "bitgrad/core/rng.h"

namespace bitgrad {
namespace {

double Coordinate(uint8_t pixel) { return (2.0 * pixel - 255.0) / 255.0; }

absl::StatusOr<Dataset> Load(const char* name, bool (*is_inside)(uint8_t p, uint8_t q), const LoadOptions& options) {
  int64_t count = options.split == Split::kTrain ? kPlaneTrainExamples : kPlaneTestExamples;
  const int64_t most = count;
  if (options.limit > 0) count = std::min(count, options.limit);
  Dataset dataset{name, Tensor({count, 1, 2, 1}, DType::kUint8), Tensor(Shape({count}), DType::kInt32), kPlaneClasses};
  dataset.class_names = {"outside", "inside"};
  uint8_t* pixel = dataset.images.mutable_data<uint8_t>();
  for (int64_t i = 0; i < count; ++i, pixel += 2) {
    if (options.split == Split::kTrain) {
      const RngStream rng{.seed = options.seed,
                          .purpose = RngPurpose::kSynthesis,
                          .step = static_cast<uint32_t>(options.split),
                          .stream = static_cast<uint32_t>(i)};
      pixel[0] = static_cast<uint8_t>(UniformBelow(rng, 0, 256));
      pixel[1] = static_cast<uint8_t>(UniformBelow(rng, 1, 256));
    } else {
      // A limited test set is spread over the grid: its first rows alone would have one class.
      const int64_t place = i * (most / count);
      pixel[0] = static_cast<uint8_t>(place / 256);
      pixel[1] = static_cast<uint8_t>(place % 256);
    }
    dataset.labels.mutable_data<int32_t>()[i] = is_inside(pixel[0], pixel[1]) ? 1 : 0;
  }
  return dataset;
}

}  // namespace

bool IsInCircle(uint8_t p, uint8_t q) {
  // x^2 + y^2 < 2 / pi, times 255^2, where both sides of the comparison are exact: 255^2 2 / pi = 41396.2...
  constexpr int kSquaredRadius = 41396;
  const int x = 2 * p - 255, y = 2 * q - 255;
  return x * x + y * y <= kSquaredRadius;
}

bool IsInSShape(uint8_t p, uint8_t q) {
  const double x = Coordinate(p), y = Coordinate(q);
  return std::fabs(x - 0.4 * std::sin(-5.0 * y)) < 0.3 && std::fabs(y) < 0.8;
}

absl::StatusOr<Dataset> LoadCircle(const LoadOptions& options) { return Load("circle", IsInCircle, options); }
absl::StatusOr<Dataset> LoadSShape(const LoadOptions& options) { return Load("s_shape", IsInSShape, options); }

}  // namespace bitgrad
