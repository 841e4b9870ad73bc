// Batches for measurements of training steps (step_profile.h): random ones that need no files, and a data set's own
// with a record of which thread prepared which of them when.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_PROFILE_BATCHES_H_
#define BITGRAD_MODELS_DIAGNOSTICS_PROFILE_BATCHES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "bitgrad/data/batch_source.h"
#include "bitgrad/models/training/task.h"

namespace bitgrad {

// `batches` batches an epoch, all the same: of the task's shapes for `batch_size` examples, with random numbers of this
// seed: images uniform in [-1, 1), labels and tokens uniform over `classes`. To make them again costs nothing.
std::shared_ptr<const BatchSource> RandomBatches(const Task& task, int64_t classes, int64_t batch_size, int64_t batches,
                                                 uint64_t seed);

// That a thread prepared a batch from `begin` to `end`, of MonotonicSeconds() (step_timeline.h). Threads are numbered
// from 0 in the order in which they first did.
struct PreparedBatch {
  int thread = 0;
  int64_t epoch = 0, index = 0;
  double begin = 0, end = 0;
};

// What several threads add to.
class PreparationLog {
 public:
  void Add(int64_t epoch, int64_t index, double begin, double end);
  std::vector<PreparedBatch> batches() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::thread::id, int> threads_;
  std::vector<PreparedBatch> batches_;
};

// The batches of another source, the preparation of which is logged.
std::shared_ptr<const BatchSource> LoggedBatches(std::shared_ptr<const BatchSource> source,
                                                 std::shared_ptr<PreparationLog> log);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_PROFILE_BATCHES_H_
