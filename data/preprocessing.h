// Preprocessing: what is done to images, once they are floats in [-1, 1], before a net sees them; in training and in
// use alike. Unlike augmentation nothing about it is random, and steps may learn from the training images.
//
//   BITGRAD_ASSIGN_OR_RETURN(Preprocessing preprocessing, ParsePreprocessing({"gcn", "zca(0.1)"}));
//   BITGRAD_RETURN_IF_ERROR(preprocessing.SetShape(train.image_shape()));
//   BITGRAD_RETURN_IF_ERROR(preprocessing.Fit(train, parts.train, /*threads=*/2));
//   preprocessing.Apply(images);  // [batch, features]

#ifndef BITGRAD_DATA_PREPROCESSING_H_
#define BITGRAD_DATA_PREPROCESSING_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/image_shape.h"

namespace bitgrad {

// What a step has learned, borrowed from it.
struct LearnedTensor {
  std::string name;
  Tensor* tensor = nullptr;
};

// One step. The constant functions are used by several threads at a time.
class PreprocessingStep {
 public:
  using Visitor = absl::FunctionRef<void(MatrixView<float>)>;
  // Calls the visitor with all training images in blocks, always the same, each image a row. The visitor may change
  // them.
  using Images = absl::FunctionRef<void(Visitor)>;

  virtual ~PreprocessingStep() = default;

  // Changes each row, an image [height, width, channels], in place. REQUIRES: the shape is set, and what is learned was
  // fitted or restored.
  virtual void Apply(MatrixView<float> images) const = 0;

  // The rest is for steps that learn.
  //
  // Allocates learned(), float32; InvalidArgument for images that the step cannot take.
  virtual absl::Status SetShape(const ImageShape&) { return absl::OkStatus(); }
  // Fills in learned() from images that went through the steps before.
  virtual void Fit(Images, int /*threads*/) {}
  virtual std::vector<LearnedTensor> learned() { return {}; }
};

class Preprocessing {
 public:
  Preprocessing() = default;  // None.
  explicit Preprocessing(std::vector<std::unique_ptr<PreprocessingStep>> steps) : steps_(std::move(steps)) {}

  bool empty() const { return steps_.empty(); }

  // Sets the shape of all images that follow. InvalidArgument where a step cannot take them, and for extents that are
  // not positive.
  absl::Status SetShape(const ImageShape& shape);
  // Each step learns from the range's images as the steps before leave them. The result is a function of the images
  // alone, but for the rounding of float products. An error where the data set's source cannot read an image. REQUIRES:
  // SetShape() with the data set's shape; the range is within it.
  absl::Status Fit(const Dataset& dataset, const ExampleRange& range, int threads);
  // All that the steps have learned, for checkpoints: "preprocessing1/mean", numbered from 0 in the order of the steps.
  std::vector<LearnedTensor> learned() const;

  // Changes each row, an image in [-1, 1] (normalize.h), in place. Thread-safe.
  void Apply(MatrixView<float> images) const;

 private:
  std::vector<std::unique_ptr<PreprocessingStep>> steps_;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_PREPROCESSING_H_
