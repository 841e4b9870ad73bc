#include "bitgrad/data/dataset.h"

#include <mutex>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/parallel_for.h"

namespace bitgrad {

absl::StatusOr<ConstMatrixView<uint8_t>> Dataset::Pixels(const ExampleRange& range, int threads,
                                                         std::vector<uint8_t>& buffer) const {
  const int64_t count = features();
  if (source == nullptr) {
    return ConstMatrixView<uint8_t>(images.data<uint8_t>() + range.begin * count, range.size(), count);
  }
  buffer.resize(range.size() * count);
  std::mutex mutex;
  int64_t first_bad = range.size();
  absl::Status error;
  ParallelFor(threads, range.size(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      absl::Status status = source->Read(range.begin + i, buffer.data() + i * count);
      if (status.ok()) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      if (i < first_bad) {
        first_bad = i;
        error = std::move(status);
      }
      return;
    }
  });
  if (!error.ok()) return error;
  return ConstMatrixView<uint8_t>(buffer.data(), range.size(), count);
}

absl::Status Dataset::Validate() const {
  if ((images.is_null() && source == nullptr) || labels.is_null()) {
    return absl::InvalidArgumentError("the data set has no images or no labels");
  }
  if (source == nullptr && (images.dtype() != DType::kUint8 || images.shape().rank() != 4)) {
    return absl::InvalidArgumentError(absl::StrCat("expected images [count, height, width, channels] uint8, found ",
                                                   images.shape().ToString(), " ", bitgrad::Name(images.dtype())));
  }
  if (labels.dtype() != DType::kInt32 || labels.shape().rank() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("expected labels [count] int32, found ", labels.shape().ToString(),
                                                   " ", bitgrad::Name(labels.dtype())));
  }
  const int64_t count = source != nullptr ? source->size() : images.shape().dim(0);
  if (count != labels.num_elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", count, " images but ", labels.num_elements(), " labels"));
  }
  if (count == 0 || features() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the data set is empty: ", count, " images of ", image_shape().ToString()));
  }
  const int32_t* label = labels.data<int32_t>();
  for (int64_t i = 0; i < count; ++i) {
    if (label[i] < 0 || label[i] >= num_classes) {
      return absl::InvalidArgumentError(
          absl::StrCat("label ", label[i], " of example ", i, " is outside [0, ", num_classes, ")"));
    }
  }
  if (!class_names.empty() && static_cast<int64_t>(class_names.size()) != num_classes) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", class_names.size(), " names for ", num_classes, " classes"));
  }
  return absl::OkStatus();
}

std::vector<std::string> NumberNames(int64_t first, int64_t count) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back(absl::StrCat(first + i));
  return names;
}

absl::Status CheckSameKind(const Dataset& train, const Dataset& test) {
  if (test.image_shape() != train.image_shape()) {
    return absl::InvalidArgumentError(absl::StrCat("data set '", train.name, "': the test images are ",
                                                   test.image_shape().ToString(), ", the training images ",
                                                   train.image_shape().ToString(), "; both must be of one size"));
  }
  if (test.num_classes != train.num_classes) {
    return absl::InvalidArgumentError(absl::StrCat("data set '", train.name, "': the test images have ",
                                                   test.num_classes, " classes, the training images ",
                                                   train.num_classes, "; they must have the same"));
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
