#include "bitgrad/data/dataset.h"

#include "absl/strings/str_cat.h"

namespace bitgrad {

absl::Status Dataset::Validate() const {
  if (images.is_null() || labels.is_null()) {
    return absl::InvalidArgumentError("the data set has no images or no labels");
  }
  if (images.dtype() != DType::kUint8 || images.shape().rank() != 4) {
    return absl::InvalidArgumentError(absl::StrCat("expected images [count, height, width, channels] uint8, found ",
                                                   images.shape().ToString(), " ", bitgrad::Name(images.dtype())));
  }
  if (labels.dtype() != DType::kInt32 || labels.shape().rank() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("expected labels [count] int32, found ", labels.shape().ToString(),
                                                   " ", bitgrad::Name(labels.dtype())));
  }
  const int64_t count = images.shape().dim(0);
  if (count != labels.num_elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are ", count, " images but ", labels.num_elements(), " labels"));
  }
  if (images.num_elements() == 0) {
    return absl::InvalidArgumentError(absl::StrCat("the data set is empty: images are ", images.shape().ToString()));
  }
  const int32_t* label = labels.data<int32_t>();
  for (int64_t i = 0; i < count; ++i) {
    if (label[i] < 0 || label[i] >= num_classes) {
      return absl::InvalidArgumentError(
          absl::StrCat("label ", label[i], " of example ", i, " is outside [0, ", num_classes, ")"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<TrainValidation> SplitLast(const Dataset& dataset, int64_t validation_count) {
  if (validation_count < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the number of validation examples is ", validation_count, "; it must be 0 or more"));
  }
  if (validation_count >= dataset.size()) {
    return absl::InvalidArgumentError(absl::StrCat(validation_count,
                                                   " validation examples leave nothing to train on: the training set '",
                                                   dataset.name, "' has ", dataset.size(), " examples; ask for fewer"));
  }
  const int64_t train_count = dataset.size() - validation_count;
  return TrainValidation{{0, train_count}, {train_count, dataset.size()}};
}

}  // namespace bitgrad
