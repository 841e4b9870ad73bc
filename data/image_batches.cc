#include "bitgrad/data/image_batches.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <numeric>

#include "bitgrad/core/check.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/normalize.h"
#include "bitgrad/data/shuffle.h"

namespace bitgrad {
namespace {

// An epoch's order, made by the first worker that needs it: an epoch starts at once.
struct LazyOrder {
  std::once_flag made;
  std::vector<int64_t> order;
};

}  // namespace

ImageBatches::ImageBatches(const Dataset& dataset, const ExampleRange& range, const BatchOptions& options)
    : images_(dataset.source != nullptr ? Tensor() : dataset.images.Alias(Shape({dataset.size(), dataset.features()}))),
      source_(dataset.source),
      shape_(dataset.image_shape()),
      labels_(dataset.labels.Alias()),
      range_(range),
      options_(options) {}

int64_t ImageBatches::batches_per_epoch() const {
  const int64_t complete = range_.size() / options_.batch_size;
  const bool has_rest = range_.size() % options_.batch_size != 0;
  return complete + (has_rest && !options_.drop_last ? 1 : 0);
}

int64_t ImageBatches::examples_per_epoch() const {
  return options_.drop_last ? batches_per_epoch() * options_.batch_size : range_.size();
}

BatchSource::Filler ImageBatches::Epoch(int64_t epoch) const {
  BITGRAD_DCHECK(epoch >= 0);
  return [this, epoch, lazy = std::make_shared<LazyOrder>()](int64_t index, Batch* batch) {
    std::call_once(lazy->made, [&] { lazy->order = Order(epoch); });
    return Fill(epoch, lazy->order, index, batch);
  };
}

std::vector<int64_t> ImageBatches::Order(int64_t epoch) const {
  if (options_.shuffle) return ShuffledOrder(range_, options_.seed, epoch);
  std::vector<int64_t> order(range_.size());
  std::iota(order.begin(), order.end(), range_.begin);
  return order;
}

absl::Status ImageBatches::Fill(int64_t epoch, const std::vector<int64_t>& order, int64_t index, Batch* batch) const {
  const int64_t begin = index * options_.batch_size;
  // In terms of what is left: begin + batch_size could overflow for an absurd batch size.
  const int64_t size = std::min(options_.batch_size, range_.size() - begin);
  const int64_t features = shape_.features();
  if (batch->labels.is_null() || batch->size() != size) {
    batch->images = Tensor({size, features}, DType::kFloat32);
    batch->labels = Tensor(Shape({size}), DType::kInt32);
  }
  batch->index = index;
  float* image = batch->images.mutable_data<float>();
  int32_t* label = batch->labels.mutable_data<int32_t>();
  // An image that is read or augmented gets a place of its own.
  std::vector<uint8_t> own(source_ == nullptr && options_.augmentation.empty() ? 0 : features);
  for (int64_t i = 0; i < size; ++i) {
    const int64_t example = order[begin + i];
    const uint8_t* pixels = own.data();
    if (source_ != nullptr) {
      BITGRAD_RETURN_IF_ERROR(source_->Read(example, own.data()));
    } else {
      pixels = images_.data<uint8_t>() + example * features;
    }
    if (!options_.augmentation.empty()) {
      if (source_ == nullptr) std::copy_n(pixels, features, own.data());
      RandomDraws draws(options_.seed, epoch, example);
      for (const auto& transform : options_.augmentation) {
        transform->Apply(shape_, own.data(), draws);
      }
      pixels = own.data();
    }
    std::transform(pixels, pixels + features, image + i * features, NormalizePixel);
    label[i] = labels_.data<int32_t>()[example];
  }
  if (options_.preprocessing != nullptr) {
    options_.preprocessing->Apply(batch->images.mutable_matrix<float>());
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
