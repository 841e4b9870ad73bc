// The batches of a range of images, of which BatchLoader::Create() makes a loader.

#ifndef BITGRAD_DATA_IMAGE_BATCHES_H_
#define BITGRAD_DATA_IMAGE_BATCHES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/data/batch_source.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/data/image_source.h"

namespace bitgrad {

class ImageBatches final : public BatchSource {
 public:
  // REQUIRES: what BatchLoader::Create() checks.
  ImageBatches(const Dataset& dataset, const ExampleRange& range, const BatchOptions& options);

  int64_t batches_per_epoch() const override;
  int64_t examples_per_epoch() const override;
  Filler Epoch(int64_t epoch) const override;

 private:
  // The examples of an epoch, in order.
  std::vector<int64_t> Order(int64_t epoch) const;
  // Makes `batch` the batch `index` of the epoch in that order. An error where the source cannot read an image.
  absl::Status Fill(int64_t epoch, const std::vector<int64_t>& order, int64_t index, Batch* batch) const;

  Tensor images_;  // [count, features] uint8; null where there is a source
  std::shared_ptr<const ImageSource> source_;
  ImageShape shape_;
  Tensor labels_;
  ExampleRange range_;
  BatchOptions options_;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IMAGE_BATCHES_H_
