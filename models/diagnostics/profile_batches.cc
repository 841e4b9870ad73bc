#include "bitgrad/models/diagnostics/profile_batches.h"

#include <utility>

#include "bitgrad/core/allocator.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/models/diagnostics/step_timeline.h"

namespace bitgrad {
namespace {

class Random final : public BatchSource {
 public:
  Random(Batch batch, int64_t batches, int64_t examples)
      : batch_(std::move(batch)), batches_(batches), examples_(examples) {}

  int64_t batches_per_epoch() const override { return batches_; }
  int64_t examples_per_epoch() const override { return examples_; }
  Filler Epoch(int64_t /*epoch*/) const override {
    return [this](int64_t index, Batch* batch) {
      // Whoever hands out batches gives them back as they were.
      for (const BatchField& field : kBatchFields) {
        const Tensor& tensor = batch_.*field.tensor;
        if (!tensor.is_null() && (batch->*field.tensor).is_null()) {
          batch->*field.tensor = tensor.Clone(HeapAllocator());
        }
      }
      batch->index = index;
      return absl::OkStatus();
    };
  }

 private:
  const Batch batch_;
  const int64_t batches_, examples_;
};

class Logged final : public BatchSource {
 public:
  Logged(std::shared_ptr<const BatchSource> source, std::shared_ptr<PreparationLog> log)
      : source_(std::move(source)), log_(std::move(log)) {}

  int64_t batches_per_epoch() const override { return source_->batches_per_epoch(); }
  int64_t examples_per_epoch() const override { return source_->examples_per_epoch(); }
  Filler Epoch(int64_t epoch) const override {
    return [fill = source_->Epoch(epoch), log = log_, epoch](int64_t index, Batch* batch) {
      const double begin = MonotonicSeconds();
      absl::Status status = fill(index, batch);
      log->Add(epoch, index, begin, MonotonicSeconds());
      return status;
    };
  }

 private:
  const std::shared_ptr<const BatchSource> source_;
  const std::shared_ptr<PreparationLog> log_;
};

}  // namespace

std::shared_ptr<const BatchSource> RandomBatches(const Task& task, int64_t classes, int64_t batch_size, int64_t batches,
                                                 uint64_t seed) {
  Batch batch = task.Blank(batch_size);
  RngStream rng{.seed = seed, .purpose = RngPurpose::kSynthesis};
  for (const BatchField& field : kBatchFields) {
    Tensor& tensor = batch.*field.tensor;
    if (tensor.is_null()) continue;
    ++rng.stream;
    const auto count = static_cast<uint64_t>(tensor.num_elements());
    if (tensor.dtype() == DType::kInt32) {
      int32_t* const values = tensor.mutable_data<int32_t>();
      for (uint64_t i = 0; i < count; ++i) {
        values[i] = static_cast<int32_t>(UniformBelow(rng, i, static_cast<uint32_t>(classes)));
      }
    } else {
      float* const values = tensor.mutable_data<float>();
      for (uint64_t i = 0; i < count; ++i) values[i] = 2 * Uniform(rng, i) - 1;
    }
  }
  return std::make_shared<const Random>(std::move(batch), batches, batches * task.Count(batch));
}

void PreparationLog::Add(int64_t epoch, int64_t index, double begin, double end) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const int next = static_cast<int>(threads_.size());
  const int thread = threads_.try_emplace(std::this_thread::get_id(), next).first->second;
  batches_.push_back({.thread = thread, .epoch = epoch, .index = index, .begin = begin, .end = end});
}

std::vector<PreparedBatch> PreparationLog::batches() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return batches_;
}

std::shared_ptr<const BatchSource> LoggedBatches(std::shared_ptr<const BatchSource> source,
                                                 std::shared_ptr<PreparationLog> log) {
  return std::make_shared<const Logged>(std::move(source), std::move(log));
}

}  // namespace bitgrad
