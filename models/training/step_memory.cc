#include "bitgrad/models/training/step_memory.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/training/parameter_restorer.h"

namespace bitgrad {
namespace {

// Measures the peak of a pool between two moments. The pool itself knows only the peak since its beginning. So the
// difference between that peak and what is handed out now is filled with blocks that nobody uses, the ballast: then
// whatever is handed out next raises the pool's peak, and shows. Nobody writes to the ballast, so it takes addresses
// but no memory. The sizes of its blocks are powers of two, which the pool does not round.
class PeakMeter {
 public:
  explicit PeakMeter(PoolAllocator& pool) : pool_(pool) { Begin(); }
  ~PeakMeter() { DropBallast(); }
  PeakMeter(const PeakMeter&) = delete;
  PeakMeter& operator=(const PeakMeter&) = delete;

  // The most handed out since the last call, or since the beginning.
  int64_t Next() {
    const size_t most = pool_.peak_bytes() - ballast_bytes_;
    Begin();
    return static_cast<int64_t>(most);
  }

 private:
  void Begin() {
    DropBallast();
    const size_t room = pool_.peak_bytes() - pool_.live_bytes();
    for (size_t bytes = kAlignment; bytes <= room; bytes *= 2) {
      if ((room & bytes) != 0) ballast_.push_back({pool_.Allocate(bytes), bytes});
    }
    ballast_bytes_ = room;
    BITGRAD_DCHECK(pool_.live_bytes() == pool_.peak_bytes());
  }
  void DropBallast() {
    for (const auto& [block, bytes] : ballast_) pool_.Deallocate(block, bytes);
    ballast_.clear();
  }

  PoolAllocator& pool_;
  std::vector<std::pair<void*, size_t>> ballast_;
  size_t ballast_bytes_ = 0;
};

// What a pass with a few examples has measured.
struct Probe {
  std::vector<int64_t> peaks;     // the peak of the pool while each op worked
  std::vector<int64_t> elements;  // of each node's value
};

// In training a step without the optimizer's part, which needs less memory; else an evaluation. The values of the
// batch do not matter.
absl::StatusOr<Probe> ProbePass(ExecContext& context, Mode mode, Model& model, const Task& task, int64_t examples) {
  const Batch host_batch = task.Blank(examples);
  PeakMeter meter(context.allocator());
  Probe probe;
  // As in training, where a batch stays on the device until the next one comes.
  const Batch batch = ToDevice(context, host_batch);
  Tape tape(context, mode);
  tape.set_op_listener([&](const OpEvent&) { probe.peaks.push_back(meter.Next()); });
  if (mode == Mode::kTrain) {
    const Objective objective = RecordObjective(task, model, tape, batch);
    BITGRAD_RETURN_IF_ERROR(tape.Backward(objective.scaled));
  } else {
    task.Forward(model, tape, batch);
  }
  BITGRAD_RETURN_IF_ERROR(tape.status());
  for (const Tape::Node& node : tape.nodes()) probe.elements.push_back(node.shape.num_elements());
  return probe;
}

// The bytes that the pool hands out for a request of `bytes`: its size class.
int64_t Rounded(PoolAllocator& pool, int64_t bytes) {
  const size_t before = pool.live_bytes();
  void* const block = pool.Allocate(static_cast<size_t>(bytes));
  const size_t rounded = pool.live_bytes() - before;
  pool.Deallocate(block, static_cast<size_t>(bytes));
  return static_cast<int64_t>(rounded);
}

absl::StatusOr<int64_t> Predict(const ExecContext::Options& options, Mode mode, Model& model,
                                ParameterStore& parameters, const Task& task, int64_t batch_size) {
  ExecContext context(options);
  BITGRAD_RETURN_IF_ERROR(context.status());
  const ParameterRestorer restorer(context, parameters.parameters());
  // At least one example for each thread, so that the scratch that each thread has for itself is part of both probes.
  const int64_t few_examples = context.threads(), more_examples = 2 * few_examples;
  const auto probe = [&](int64_t batch) {
    auto result = ProbePass(context, mode, model, task, batch);
    for (Parameter* parameter : parameters.parameters()) parameter->DropGradient();
    return result;
  };
  BITGRAD_ASSIGN_OR_RETURN(const Probe few, probe(few_examples));
  BITGRAD_ASSIGN_OR_RETURN(const Probe more, probe(more_examples));
  BITGRAD_CHECK(few.peaks.size() == more.peaks.size() && few.elements.size() == more.elements.size());

  // R(b)
  const auto activations = [&](int64_t batch) {
    double bytes = 0;
    for (size_t i = 0; i < few.elements.size(); ++i) {
      const int64_t an_example = (more.elements[i] - few.elements[i]) / few_examples;
      if (an_example == 0) continue;  // the value of a parameter, which does not grow
      bytes += static_cast<double>(Rounded(context.allocator(), batch * an_example * int64_t{sizeof(float)}));
    }
    return bytes;
  };
  const double growth =
      (activations(batch_size) - activations(few_examples)) / (activations(more_examples) - activations(few_examples));
  double peak = 0;
  for (size_t i = 0; i < few.peaks.size(); ++i) {
    const double from = static_cast<double>(few.peaks[i]), to = static_cast<double>(more.peaks[i]);
    peak = std::max(peak, from + growth * (to - from));
  }
  return static_cast<int64_t>(peak);
}

}  // namespace

absl::StatusOr<int64_t> PredictStepMemory(const ExecContext::Options& options, Model& model, ParameterStore& parameters,
                                          const Task& task, int64_t batch_size) {
  return Predict(options, Mode::kTrain, model, parameters, task, batch_size);
}

absl::StatusOr<int64_t> PredictEvaluationMemory(const ExecContext::Options& options, Model& model,
                                                ParameterStore& parameters, const Task& task, int64_t batch_size) {
  return Predict(options, Mode::kEval, model, parameters, task, batch_size);
}

}  // namespace bitgrad
