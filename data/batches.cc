#include "bitgrad/data/batches.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/image_batches.h"

namespace bitgrad {
namespace {

constexpr int kMaxPrefetch = 64;
constexpr int kMaxWorkers = 64;

absl::Status CheckPrefetch(const PrefetchOptions& options) {
  if (options.prefetch < 1 || options.prefetch > kMaxPrefetch) {
    return absl::InvalidArgumentError(
        absl::StrCat("the number of batches to prefetch is ", options.prefetch, "; it must be 1 to ", kMaxPrefetch));
  }
  if (options.workers < 1 || options.workers > kMaxWorkers) {
    return absl::InvalidArgumentError(absl::StrCat("the number of threads that prepare batches is ", options.workers,
                                                   "; it must be 1 to ", kMaxWorkers));
  }
  return absl::OkStatus();
}

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
  BITGRAD_RETURN_IF_ERROR(CheckPrefetch({.prefetch = options.prefetch, .workers = options.workers}));
  for (const auto& transform : options.augmentation) {
    BITGRAD_RETURN_IF_ERROR(transform->Check(dataset.image_shape()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BatchLoader> BatchLoader::Create(const Dataset& dataset, const ExampleRange& range,
                                                const BatchOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckOptions(dataset, range, options));
  return BatchLoader(std::make_shared<const ImageBatches>(dataset, range, options),
                     {.prefetch = options.prefetch, .workers = options.workers});
}

absl::StatusOr<BatchLoader> BatchLoader::Create(std::shared_ptr<const BatchSource> source,
                                                const PrefetchOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckPrefetch(options));
  return BatchLoader(std::move(source), options);
}

EpochBatches::EpochBatches(const BatchLoader& loader, int64_t epoch, int64_t first_batch)
    : queue_(loader.options_.prefetch, loader.options_.workers,
             [source = loader.source_, fill = loader.source_->Epoch(epoch),
              first_batch = std::max<int64_t>(first_batch, 0), failure = failure_](int64_t i, Batch* batch) {
               const int64_t index = first_batch + i;
               if (index >= source->batches_per_epoch()) return false;
               absl::Status status = fill(index, batch);
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
