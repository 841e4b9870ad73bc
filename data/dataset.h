// Dataset: labelled images.
//
//   BITGRAD_ASSIGN_OR_RETURN(Dataset mnist, LoadDataset("mnist", {.data_dir = dir}));  // datasets.h
//   BITGRAD_ASSIGN_OR_RETURN(TrainValidation parts, SplitLast(mnist, 10000));          // validation.h
//   // parts.train is [0, 50000), parts.validation [50000, 60000): ranges of one Dataset, no copies.

#ifndef BITGRAD_DATA_DATASET_H_
#define BITGRAD_DATA_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/data/image_source.h"

namespace bitgrad {

// Which of a data set's two published parts. The numbers are also counters of the random streams of synthetic data:
// never renumber.
enum class Split : int { kTrain = 0, kTest = 1 };

constexpr const char* Name(Split split) { return split == Split::kTrain ? "train" : "test"; }

// The examples [begin, end) of a Dataset.
struct ExampleRange {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
  friend bool operator==(const ExampleRange& a, const ExampleRange& b) { return a.begin == b.begin && a.end == b.end; }
};

// Images stay 8-bit here, as they were published; batches.h turns them into floats (normalize.h).
struct Dataset {
  std::string name;
  Tensor images;  // [count, height, width, channels] uint8; null where `source` has the images
  Tensor labels;  // [count] int32, each in [0, num_classes)
  int64_t num_classes = 0;
  // The images of a set that is decoded when needed; null where `images` holds them. Exactly one of the two is there.
  std::shared_ptr<const ImageSource> source;
  // What was found, in one line: "mnist train: 60000 images of 28x28x1, 10 classes; ...", with what the reader passed
  // over and why.
  std::string summary;
  // The name of each class, as many as num_classes; empty where nobody knows them.
  std::vector<std::string> class_names;

  int64_t size() const { return labels.is_null() ? 0 : labels.num_elements(); }
  // REQUIRES of both: Validate().ok().
  ImageShape image_shape() const {
    if (source != nullptr) return source->shape();
    return {images.shape().dim(1), images.shape().dim(2), images.shape().dim(3)};
  }
  // Values per example: height * width * channels.
  int64_t features() const { return image_shape().features(); }

  // The pixels of the examples in the range, [size, features]: a view of `images`, or of `buffer` after the source has
  // filled it, on `threads` threads. The view lives as long as both do. Errors are the source's; of several the one of
  // the first example. REQUIRES: Validate().ok(), the range is within the data set.
  absl::StatusOr<ConstMatrixView<uint8_t>> Pixels(const ExampleRange& range, int threads,
                                                  std::vector<uint8_t>& buffer) const;

  // InvalidArgument, with what was expected and what was found, unless: images (or the source) and labels have the
  // shapes and dtypes above and the same count, the count and all extents are positive, every label is in range, and
  // there are as many names as classes, or none.
  absl::Status Validate() const;
};

inline ExampleRange AllExamples(const Dataset& dataset) { return {0, dataset.size()}; }

// "0", "1", ...: the names of classes that are numbers.
std::vector<std::string> NumberNames(int64_t first, int64_t count);

// InvalidArgument unless the test images have the training images' shape (14x56 is not 28x28, although both have 784
// values) and the classes are as many. The message names the split.
absl::Status CheckSameKind(const Dataset& train, const Dataset& test);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_DATASET_H_
