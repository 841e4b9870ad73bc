#include "bitgrad/data/svhn.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/mat_file.h"

namespace bitgrad {
namespace {

constexpr int64_t kSide = 32;
constexpr int64_t kChannels = 3;
constexpr int64_t kPixels = kSide * kSide * kChannels;
constexpr int64_t kClasses = 10;
// More than any of the files holds: a damaged size is noticed before memory is asked for.
constexpr int64_t kMostNumbers = 1000000 * kPixels;

constexpr char kHowToGetTheFiles[] =
    "the data are train_32x32.mat, test_32x32.mat and, for svhn_extra, extra_32x32.mat of "
    "ufldl.stanford.edu/housenumbers; put them in one directory DIR and pass --data_dir=DIR";

// The variable `name`, after a check of its shape: `dims`, where 0 stands for the number of images.
absl::StatusOr<MatVariable> ReadVariable(const std::string& path, const MatFile& file, const std::string& name,
                                         absl::Span<const int64_t> dims) {
  BITGRAD_ASSIGN_OR_RETURN(MatVariable variable, file.Read(name, kMostNumbers));
  bool fits = variable.dims.size() == dims.size();
  for (size_t i = 0; fits && i < dims.size(); ++i) {
    fits = dims[i] == 0 ? variable.dims[i] > 0 : variable.dims[i] == dims[i];
  }
  const bool right_type = variable.is_uint8 || dims.size() == 2;
  if (fits && right_type) return variable;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": expected ", dims.size() == 2 ? "y [N, 1]" : "X [32, 32, 3, N] uint8", ", found ", name,
                   " [", absl::StrJoin(variable.dims, ", "), "]", right_type ? "" : " of another type",
                   "; check that the file is what its name says"));
}

double NumberAt(const MatVariable& variable, int64_t i) {
  return variable.is_uint8 ? variable.bytes[i] : variable.doubles[i];
}

// Appends the file's images and labels, as they are in a Dataset.
absl::Status Append(const std::string& path, std::vector<uint8_t>& pixels, std::vector<int32_t>& labels) {
  BITGRAD_ASSIGN_OR_RETURN(const MatFile file, MatFile::Open(path));
  BITGRAD_ASSIGN_OR_RETURN(const MatVariable x, ReadVariable(path, file, "X", {kSide, kSide, kChannels, 0}));
  BITGRAD_ASSIGN_OR_RETURN(const MatVariable y, ReadVariable(path, file, "y", {0, 1}));
  const int64_t count = x.dims[3];
  if (y.dims[0] != count) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": there are ", count, " images but ", y.dims[0], " labels; get the file again"));
  }
  for (int64_t i = 0; i < count; ++i) {
    const double label = NumberAt(y, i);
    if (!(label >= 1 && label <= 10) || label != static_cast<int>(label)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": label ", label, " of image ", i, " is none of 1 to 10; get the file again"));
    }
    labels.push_back(static_cast<int32_t>(label) % kClasses);
  }
  const uint8_t* image = x.bytes.data();
  pixels.reserve(pixels.size() + count * kPixels);
  for (int64_t i = 0; i < count; ++i, image += kPixels) {
    for (int64_t row = 0; row < kSide; ++row) {
      for (int64_t column = 0; column < kSide; ++column) {
        for (int64_t c = 0; c < kChannels; ++c) {
          pixels.push_back(image[row + kSide * (column + kSide * c)]);
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Dataset> Load(const char* name, const LoadOptions& options, absl::Span<const char* const> files) {
  if (options.data_dir.empty()) {
    return absl::NotFoundError(absl::StrCat(name, ": no data directory given: ", kHowToGetTheFiles));
  }
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  for (const char* file : files) {
    const std::string path = absl::StrCat(options.data_dir, "/", file);
    const absl::Status status = Append(path, pixels, labels);
    if (absl::IsNotFound(status)) {
      return absl::NotFoundError(absl::StrCat(name, ": ", status.message(), ": ", kHowToGetTheFiles));
    }
    BITGRAD_RETURN_IF_ERROR(status);
  }
  int64_t count = labels.size();
  if (options.limit > 0) count = std::min(count, options.limit);
  Dataset dataset{
      name, Tensor::Of<uint8_t>({count, kSide, kSide, kChannels}, absl::MakeConstSpan(pixels).first(count * kPixels)),
      Tensor::Of<int32_t>(Shape({count}), absl::MakeConstSpan(labels).first(count)), kClasses};
  dataset.class_names = NumberNames(0, kClasses);
  return dataset;
}

}  // namespace

absl::StatusOr<Dataset> LoadSvhn(const LoadOptions& options) {
  return Load("svhn", options, {options.split == Split::kTrain ? "train_32x32.mat" : "test_32x32.mat"});
}

absl::StatusOr<Dataset> LoadSvhnExtra(const LoadOptions& options) {
  if (options.split == Split::kTest) return Load("svhn_extra", options, {"test_32x32.mat"});
  return Load("svhn_extra", options, {"train_32x32.mat", "extra_32x32.mat"});
}

}  // namespace bitgrad
