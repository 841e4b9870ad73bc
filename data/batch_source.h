// BatchSource: what makes the batches of one kind of data. BatchLoader (batches.h) runs it ahead on threads of its own.
//
// To add a kind of data: an implementation, and a function that makes a BatchLoader of it (text_batches.h).

#ifndef BITGRAD_DATA_BATCH_SOURCE_H_
#define BITGRAD_DATA_BATCH_SOURCE_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "bitgrad/data/batch.h"

namespace bitgrad {

// Immutable. Every function may be called by several threads at a time.
class BatchSource {
 public:
  // Makes `batch`, whatever it was, the batch of this index; its tensors are allocated only where their shapes change.
  // After an error the batch is in an undefined state. Called by several threads at a time, each with a batch of its
  // own.
  using Filler = std::function<absl::Status(int64_t index, Batch* batch)>;

  virtual ~BatchSource() = default;

  virtual int64_t batches_per_epoch() const = 0;
  // What the batches of an epoch have of what metrics are means over: images, tokens.
  virtual int64_t examples_per_epoch() const = 0;
  // The batches of one epoch, each a pure function of (source, epoch, index). The source outlives the result.
  // REQUIRES: epoch >= 0; of the filler: 0 <= index < batches_per_epoch().
  virtual Filler Epoch(int64_t epoch) const = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_BATCH_SOURCE_H_
