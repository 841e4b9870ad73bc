// What a training step has measured, and the block of memory on the device that it leaves it in.

#ifndef BITGRAD_MODELS_TRAINING_STEP_RESULT_H_
#define BITGRAD_MODELS_TRAINING_STEP_RESULT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "bitgrad/core/device_array.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/training/task.h"

namespace bitgrad {

struct StepResult {
  int64_t examples = 0;
  float loss = 0;                      // what the step made small: the task's loss plus the penalty
  absl::optional<float> penalty;       // the model's part of it, where it has one
  std::vector<MetricSum> metrics;      // in the task's order
  std::vector<CounterValue> counters;  // of the tape

  // The sum of the metric of that name; 0 where the task has none.
  double SumOf(absl::string_view metric) const {
    for (const MetricSum& sum : metrics) {
      if (sum.name == metric) return sum.sum;
    }
    return 0;
  }
};

// The losses of a step, as its tape has them.
struct StepLosses {
  float total;
  float penalty;
};

// One block for everything that the host is to learn of a step, which it therefore reads with one copy: losses, the
// task's metrics, the tape's counters, and the optimizer's report, which only the optimizer reads
// (Optimizer::report()).
class StepBlock {
 public:
  struct Sizes {
    int64_t metrics = 0;
    int64_t counters = 0;
    size_t optimizer_bytes = 0;
    friend bool operator==(const Sizes&, const Sizes&) = default;
  };

  StepBlock(ExecContext& context, const Sizes& sizes)
      : sizes_(sizes), block_(context, static_cast<int64_t>(OptimizerBegin() + sizes.optimizer_bytes)) {}

  const Sizes& sizes() const { return sizes_; }
  size_t bytes() const { return static_cast<size_t>(block_.count()); }

  // Pointers into the device's memory.
  const void* block() { return block_.data(); }
  StepLosses* losses() { return reinterpret_cast<StepLosses*>(block_.data()); }
  MetricCell* metrics() { return reinterpret_cast<MetricCell*>(block_.data() + kMetricsBegin); }
  int64_t* counters() { return reinterpret_cast<int64_t*>(block_.data() + CountersBegin()); }
  void* optimizer() { return block_.data() + OptimizerBegin(); }

  // Pointers into a copy of the block in the host's memory.
  struct Host {
    const StepLosses* losses;
    const MetricCell* metrics;
    absl::Span<const int64_t> counters;
    const void* optimizer;
  };
  // REQUIRES: `copy` is aligned for doubles.
  Host Read(const void* copy) const {
    const char* const bytes = static_cast<const char*>(copy);
    return {reinterpret_cast<const StepLosses*>(bytes), reinterpret_cast<const MetricCell*>(bytes + kMetricsBegin),
            absl::MakeConstSpan(reinterpret_cast<const int64_t*>(bytes + CountersBegin()),
                                static_cast<size_t>(sizes_.counters)),
            bytes + OptimizerBegin()};
  }

  // The block, copied to the host after all work enqueued so far.
  std::vector<char> Download() const { return block_.Download(); }

 private:
  // Every part consists of 8 bytes at a time, and so is aligned.
  static constexpr size_t kMetricsBegin = sizeof(StepLosses);
  static_assert(sizeof(StepLosses) % 8 == 0 && sizeof(MetricCell) == 8);
  size_t CountersBegin() const { return kMetricsBegin + static_cast<size_t>(sizes_.metrics) * sizeof(MetricCell); }
  size_t OptimizerBegin() const { return CountersBegin() + static_cast<size_t>(sizes_.counters) * sizeof(int64_t); }

  const Sizes sizes_;
  DeviceArray<char> block_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_STEP_RESULT_H_
