// Dataset: labelled images in memory, and how a training set gives up its last part for validation.
//
//   BITGRAD_ASSIGN_OR_RETURN(Dataset mnist, LoadDataset("mnist", {.data_dir = dir}));  // datasets.h
//   BITGRAD_ASSIGN_OR_RETURN(TrainValidation parts, SplitLast(mnist, 10000));
//   // parts.train is [0, 50000), parts.validation [50000, 60000): ranges of one Dataset, no copies.

#ifndef BITGRAD_DATA_DATASET_H_
#define BITGRAD_DATA_DATASET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/data/image_shape.h"

namespace bitgrad {

// Which of a data set's two published parts. Also a counter of the random streams of synthetic
// data: never renumber.
enum class Split : int { kTrain = 0, kTest = 1 };

constexpr const char* Name(Split split) { return split == Split::kTrain ? "train" : "test"; }

// Images stay 8-bit here, as they were published; batches.h turns them into floats (normalize.h).
struct Dataset {
  std::string name;
  Tensor images;  // [count, height, width, channels] uint8
  Tensor labels;  // [count] int32, each in [0, num_classes)
  int64_t num_classes = 0;
  // The name of each class, as many as num_classes; empty where nobody knows them.
  std::vector<std::string> class_names;

  int64_t size() const { return labels.is_null() ? 0 : labels.num_elements(); }
  // REQUIRES of both: Validate().ok().
  ImageShape image_shape() const { return {images.shape().dim(1), images.shape().dim(2), images.shape().dim(3)}; }
  // Values per example: height * width * channels.
  int64_t features() const { return image_shape().features(); }

  // InvalidArgument, with what was expected and what was found, unless: images and labels have the
  // shapes and dtypes above and the same count, the count and all extents are positive, and every
  // label is in range.
  absl::Status Validate() const;
};

// The examples [begin, end) of a Dataset.
struct ExampleRange {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
  friend bool operator==(const ExampleRange& a, const ExampleRange& b) { return a.begin == b.begin && a.end == b.end; }
};

inline ExampleRange AllExamples(const Dataset& dataset) { return {0, dataset.size()}; }

struct TrainValidation {
  ExampleRange train;
  ExampleRange validation;
};

// The last `validation_count` examples validate, the others train: the split of BinaryConnect's and
// BinaryNet's MNIST experiments (last 10,000 of 60,000). A count of 0 leaves the validation range
// empty. InvalidArgument when the count is negative or leaves nothing to train on.
absl::StatusOr<TrainValidation> SplitLast(const Dataset& dataset, int64_t validation_count);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_DATASET_H_
