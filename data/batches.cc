#include "bitgrad/data/batches.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/normalize.h"
#include "bitgrad/data/shuffle.h"

namespace bitgrad {
namespace {

constexpr int kMaxPrefetch = 64;
constexpr int kMaxWorkers = 64;

// An epoch's order, made by the first worker that needs it: an epoch starts at once.
struct LazyOrder {
  std::once_flag made;
  std::vector<int64_t> order;
};

absl::Status CheckOptions(const Dataset& dataset, const ExampleRange& range, const BatchOptions& options) {
  BITGRAD_RETURN_IF_ERROR(dataset.Validate());
  if (range.begin < 0 || range.end > dataset.size() || range.begin >= range.end ||
      range.size() > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("the range of examples [", range.begin, ", ", range.end,
                                                   ") is empty or outside of data set '", dataset.name, "', which has ",
                                                   dataset.size(), " examples"));
  }
  if (options.batch_size <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("the batch size is ", options.batch_size, "; it must be positive"));
  }
  if (options.drop_last && options.batch_size > range.size()) {
    return absl::InvalidArgumentError(absl::StrCat("the batch size ", options.batch_size, " is larger than the ",
                                                   range.size(),
                                                   " examples, so an epoch would have no batch; make it smaller"));
  }
  if (options.prefetch < 1 || options.prefetch > kMaxPrefetch) {
    return absl::InvalidArgumentError(
        absl::StrCat("the number of batches to prefetch is ", options.prefetch, "; it must be 1 to ", kMaxPrefetch));
  }
  if (options.workers < 1 || options.workers > kMaxWorkers) {
    return absl::InvalidArgumentError(absl::StrCat("the number of threads that prepare batches is ", options.workers,
                                                   "; it must be 1 to ", kMaxWorkers));
  }
  for (const auto& transform : options.augmentation) {
    BITGRAD_RETURN_IF_ERROR(transform->Check(dataset.image_shape()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BatchLoader> BatchLoader::Create(const Dataset& dataset, const ExampleRange& range,
                                                const BatchOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckOptions(dataset, range, options));
  return BatchLoader(dataset, range, options);
}

BatchLoader::BatchLoader(const Dataset& dataset, const ExampleRange& range, const BatchOptions& options)
    : images_(dataset.source != nullptr ? Tensor() : dataset.images.Alias(Shape({dataset.size(), dataset.features()}))),
      source_(dataset.source),
      shape_(dataset.image_shape()),
      labels_(dataset.labels.Alias()),
      range_(range),
      options_(options) {}

int64_t BatchLoader::batches_per_epoch() const {
  const int64_t complete = range_.size() / options_.batch_size;
  const bool has_rest = range_.size() % options_.batch_size != 0;
  return complete + (has_rest && !options_.drop_last ? 1 : 0);
}

int64_t BatchLoader::examples_per_epoch() const {
  return options_.drop_last ? batches_per_epoch() * options_.batch_size : range_.size();
}

std::vector<int64_t> BatchLoader::Order(int64_t epoch) const {
  if (options_.shuffle) return ShuffledOrder(range_, options_.seed, epoch);
  std::vector<int64_t> order(range_.size());
  std::iota(order.begin(), order.end(), range_.begin);
  return order;
}

absl::Status BatchLoader::Fill(int64_t epoch, const std::vector<int64_t>& order, int64_t index, Batch* batch) const {
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

EpochBatches::EpochBatches(const BatchLoader& loader, int64_t epoch, int64_t first_batch)
    : queue_(loader.options_.prefetch, loader.options_.workers,
             [&loader, epoch, first_batch = std::max<int64_t>(first_batch, 0), failure = failure_,
              lazy = std::make_shared<LazyOrder>()](int64_t i, Batch* batch) {
               const int64_t index = first_batch + i;
               if (index >= loader.batches_per_epoch()) return false;
               std::call_once(lazy->made, [&] { lazy->order = loader.Order(epoch); });
               absl::Status status = loader.Fill(epoch, lazy->order, index, batch);
               if (status.ok()) return true;
               const std::lock_guard<std::mutex> lock(failure->mutex);
               if (index < failure->index) {
                 failure->index = index;
                 failure->status = std::move(status);
               }
               return false;
             }) {
  BITGRAD_DCHECK(epoch >= 0 && first_batch >= 0);
}

absl::Status EpochBatches::status() const {
  const std::lock_guard<std::mutex> lock(failure_->mutex);
  return failure_->status;
}

const Batch* EpochBatches::Next() {
  const auto start = std::chrono::steady_clock::now();
  const Batch* batch = queue_.Next();
  seconds_waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return batch;
}

}  // namespace bitgrad
