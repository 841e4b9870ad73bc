#include "bitgrad/data/iris.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace bitgrad {

extern const char kIrisCsv[];  // data/iris.csv; the build makes a source file of it

namespace {

constexpr int64_t kTestEvery = 5;

}  // namespace

absl::StatusOr<Dataset> LoadIris(const LoadOptions& options) {
  const std::vector<std::string> names = {"setosa", "versicolor", "virginica"};
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  int64_t row = 0;
  for (const absl::string_view line : absl::StrSplit(kIrisCsv, '\n')) {
    if (line.empty() || line[0] == '#') continue;
    const bool tests = ++row % kTestEvery == 0;
    if (tests != (options.split == Split::kTest)) continue;
    const std::vector<std::string> fields = absl::StrSplit(line, ',');
    const auto name = std::find(names.begin(), names.end(), fields.back());
    if (fields.size() != kIrisFeatures + 1 || name == names.end()) {
      return absl::InternalError(absl::StrCat("iris: row ", row, " of the built-in file is '", line, "'"));
    }
    for (int64_t i = 0; i < kIrisFeatures; ++i) {
      double cm = 0;
      // Tenths of a centimetre are the integers that the file means; 30 cm is not exact in floating point.
      const bool is_number = absl::SimpleAtod(fields[static_cast<size_t>(i)], &cm);
      const int64_t tenths = std::llround(10 * cm);
      if (!is_number || tenths < 0 || tenths * kIrisPixelsPerCm / 10 > 255) {
        return absl::InternalError(absl::StrCat("iris: row ", row, " of the built-in file is '", line, "'"));
      }
      pixels.push_back(static_cast<uint8_t>(tenths * kIrisPixelsPerCm / 10));
    }
    labels.push_back(static_cast<int32_t>(name - names.begin()));
  }
  auto count = static_cast<int64_t>(labels.size());
  if (options.limit > 0) count = std::min(count, options.limit);
  Dataset dataset{"iris", Tensor({count, 1, kIrisFeatures, 1}, DType::kUint8), Tensor(Shape({count}), DType::kInt32),
                  kIrisClasses};
  dataset.class_names = names;
  std::copy_n(pixels.begin(), count * kIrisFeatures, dataset.images.mutable_data<uint8_t>());
  std::copy_n(labels.begin(), count, dataset.labels.mutable_data<int32_t>());
  return dataset;
}

}  // namespace bitgrad
