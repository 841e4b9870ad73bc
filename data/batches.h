// BatchLoader: a range of a data set, or a text, in batches, prepared on other threads while the net computes.
//
//   BITGRAD_ASSIGN_OR_RETURN(
//       BatchLoader loader,
//       BatchLoader::Create(dataset, parts.train,
//                           {.batch_size = 100, .shuffle = true, .drop_last = true, .seed = 1}));
//   for (int64_t epoch = 0; epoch < epochs; ++epoch) {
//     EpochBatches batches = loader.Epoch(epoch);
//     for (const Batch& batch : batches) {
//       // batch.images [100, 784] float32, batch.labels [100] int32
//     }
//     BITGRAD_RETURN_IF_ERROR(batches.status());
//   }
//
// An image is augmented as bytes (image_transform.h), becomes floats (normalize.h), and is then preprocessed
// (preprocessing.h). Where the data set has a source instead of images in memory, the threads that prepare a batch also
// read, that is decode, its images; the result is the same, bit for bit.
//
// Other kinds of data have a BatchSource (batch_source.h) and a function that makes a loader of it: text_batches.h.
//
// The batches are a pure function of (data set, range, options, epoch, index): they depend neither on the prefetch
// depth nor on the number of workers nor on earlier epochs. A run that stopped after batch k of an epoch continues with
// Epoch(epoch, k + 1).

#ifndef BITGRAD_DATA_BATCHES_H_
#define BITGRAD_DATA_BATCHES_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/data/batch.h"
#include "bitgrad/data/batch_source.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/image_transform.h"
#include "bitgrad/data/prefetch_queue.h"
#include "bitgrad/data/preprocessing.h"

namespace bitgrad {

struct PrefetchOptions {
  int prefetch = 3;  // batches prepared ahead, 1..64
  int workers = 1;   // threads that prepare batches, each its own, 1..64
};

// Of images.
struct BatchOptions {
  int64_t batch_size = 100;
  bool shuffle = false;    // another order each epoch (shuffle.h); else the data set's
  bool drop_last = false;  // leave out an incomplete last batch (training); else it is smaller
  uint64_t seed = 1;       // of the shuffling and the augmentation
  int prefetch = 3;        // as in PrefetchOptions
  int workers = 1;
  Augmentation augmentation;                           // for training, in this order
  std::shared_ptr<const Preprocessing> preprocessing;  // fitted or restored; null: none
};

// One pass over the batches, for a range-based for. It owns the threads that prepare them; destroying it, at any
// moment, ends those threads. It cannot be moved: it is used where it is made.
class EpochBatches {
 public:
  class Iterator {
   public:
    const Batch& operator*() const { return *batch_; }
    const Batch* operator->() const { return batch_; }
    Iterator& operator++() {
      batch_ = epoch_->Next();
      return *this;
    }
    bool operator!=(const Iterator& other) const { return batch_ != other.batch_; }

   private:
    friend class EpochBatches;
    Iterator(EpochBatches* epoch, const Batch* batch) : epoch_(epoch), batch_(batch) {}
    EpochBatches* epoch_;
    const Batch* batch_;  // null: the end
  };

  EpochBatches(const EpochBatches&) = delete;
  EpochBatches& operator=(const EpochBatches&) = delete;

  // The next batch; null after the last one, and in the place of one whose images cannot be read. The batch is valid
  // until the next call, which uses its memory again: clone what is needed for longer. Waits until the batch is ready.
  const Batch* Next();

  // Why the batches ended. OK after the last one; otherwise what the data set's source said about the first image that
  // could not be read. Images and texts in memory can always be read. To be called when Next() has returned null.
  absl::Status status() const;

  // How long all calls of Next() have waited together: the time that a faster loader would save.
  double seconds_waited() const { return seconds_waited_; }

  // One pass only: begin() takes the next batch.
  Iterator begin() { return {this, Next()}; }
  Iterator end() { return {this, nullptr}; }

 private:
  friend class BatchLoader;
  EpochBatches(const class BatchLoader& loader, int64_t epoch, int64_t first_batch);

  // The failure of the batch with the smallest index, which the threads report.
  struct Failure {
    std::mutex mutex;
    int64_t index = std::numeric_limits<int64_t>::max();
    absl::Status status;
  };

  std::shared_ptr<Failure> failure_ = std::make_shared<Failure>();
  double seconds_waited_ = 0;
  PrefetchQueue<Batch> queue_;
};

// Borrows nothing: it keeps a handle to its source, which for images is one to the data set's tensors and to its
// source. From then on nobody may write to those tensors. Immutable and safe to use from several threads.
class BatchLoader {
 public:
  // Of images. InvalidArgument, with the values, for: an invalid data set (Dataset::Validate), a range outside of it or
  // empty, a batch size that is not positive, a prefetch depth or number of workers that is not in 1..64, drop_last
  // with fewer examples than one batch, and augmentation that the images cannot have.
  static absl::StatusOr<BatchLoader> Create(const Dataset& dataset, const ExampleRange& range,
                                            const BatchOptions& options);
  // Of anything. InvalidArgument for a prefetch depth or number of workers that is not in 1..64.
  static absl::StatusOr<BatchLoader> Create(std::shared_ptr<const BatchSource> source,
                                            const PrefetchOptions& options = {});

  int64_t batches_per_epoch() const { return source_->batches_per_epoch(); }
  // Images, or tokens. Without those that are left out (drop_last; the tail of a text).
  int64_t examples_per_epoch() const { return source_->examples_per_epoch(); }

  // Batches first_batch, first_batch + 1, ... of an epoch; none where first_batch >=
  // batches_per_epoch(). REQUIRES: epoch >= 0, first_batch >= 0.
  EpochBatches Epoch(int64_t epoch, int64_t first_batch = 0) const { return EpochBatches(*this, epoch, first_batch); }

  // What it was made of: for a loader of the same batches that does something else beside them.
  const std::shared_ptr<const BatchSource>& source() const { return source_; }
  const PrefetchOptions& options() const { return options_; }

 private:
  friend class EpochBatches;
  BatchLoader(std::shared_ptr<const BatchSource> source, const PrefetchOptions& options)
      : source_(std::move(source)), options_(options) {}

  std::shared_ptr<const BatchSource> source_;
  PrefetchOptions options_;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_BATCHES_H_
