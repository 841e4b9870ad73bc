#include "bitgrad/models/training/coordinate_descent.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/classification.h"

namespace bitgrad {
namespace {

// What the numbers of the checkpoint's tensor are.
enum StateField { kHasValues, kDone, kChanges, kOneOpt, kTrials, kMicroseconds, kStateFields };
constexpr char kStateName[] = "coordinate_descent";
// The examples of an epoch are shuffled by stream 0.
constexpr uint32_t kSweepStream = 1;
// Rows of the first batch that are compared with the graph.
constexpr int64_t kCompared = 16;
// Coordinates between two calls of the listener.
constexpr int64_t kListenEvery = 16;

class Stopwatch {
 public:
  explicit Stopwatch(int64_t& microseconds) : microseconds_(microseconds) {}
  ~Stopwatch() {
    microseconds_ +=
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  int64_t& microseconds_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

absl::StatusOr<std::unique_ptr<CoordinateDescent>> CoordinateDescent::Create(ExecContext& context,
                                                                             const recipe::Recipe& recipe, Model& model,
                                                                             ParameterStore& store,
                                                                             const BatchLoader& loader,
                                                                             int64_t training_examples) {
  std::unique_ptr<CoordinateDescent> descent(new CoordinateDescent(context, recipe, loader));
  BITGRAD_ASSIGN_OR_RETURN(descent->net_, DiscreteMlp::Create(context, recipe, model, store));
  const recipe::CoordinateDescent& options = recipe.coordinate_descent();
  if (options.has_sweeps_per_epoch()) descent->sweeps_per_epoch_ = options.sweeps_per_epoch();
  descent->full_batch_ = loader.batches_per_epoch() == 1 && loader.examples_per_epoch() == training_examples;
  return descent;
}

int64_t CoordinateDescent::PositionOf(int64_t batch) const {
  const double sweeps =
      static_cast<double>(batch) * sweeps_per_epoch_ / static_cast<double>(loader_.batches_per_epoch());
  return static_cast<int64_t>(sweeps * static_cast<double>(net_->coordinates()) + 0.5);
}

absl::Status CoordinateDescent::Evaluate(const Batch& batch) {
  // All examples are the same ones in any order.
  if (full_batch_ && evaluation_ != nullptr) return absl::OkStatus();
  BITGRAD_ASSIGN_OR_RETURN(evaluation_, IncrementalLoss::Create(*net_, loss_, batch, context_.threads()));
  if (compared_) return absl::OkStatus();
  compared_ = true;
  const int64_t rows = std::min(kCompared, batch.size()), features = net_->layers()[0].in;
  Tensor few({rows, features}, DType::kFloat32);
  std::copy_n(batch.images.data<float>(), rows * features, few.mutable_data<float>());
  return net_->CheckAgainstGraph(few);
}

// Fisher and Yates.
void CoordinateDescent::DrawOrder(int64_t sweep) {
  if (order_of_ == sweep) return;
  order_of_ = sweep;
  order_.resize(static_cast<size_t>(net_->coordinates()));
  std::iota(order_.begin(), order_.end(), 0);
  const RngStream rng{
      .seed = seed_, .purpose = RngPurpose::kShuffle, .step = static_cast<uint32_t>(sweep), .stream = kSweepStream};
  for (size_t i = order_.size() - 1; i > 0; --i) {
    std::swap(order_[i], order_[UniformBelow(rng, i, static_cast<uint32_t>(i + 1))]);
  }
}

bool CoordinateDescent::Improve(const Coordinate& at) {
  const int old = net_->Get(at);
  std::vector<int> others;
  for (int choice = 0; choice < net_->Choices(at); ++choice) {
    if (choice != old) others.push_back(choice);
  }
  std::vector<int64_t> changes(others.size());
  evaluation_->Try(at, others, absl::MakeSpan(changes));
  trials_ += static_cast<int64_t>(others.size());
  const auto best = std::min_element(changes.begin(), changes.end());
  const bool changed = *best < 0;
  if (changed) evaluation_->Set(at, others[static_cast<size_t>(best - changes.begin())]);
  if (trial_listener_) trial_listener_(at, changed, *evaluation_);
  return changed;
}

// The rest of the batch. Cancelled where `stop` says so before its end.
absl::Status CoordinateDescent::SearchBatch(absl::FunctionRef<bool()> stop) {
  const int64_t begin = PositionOf(batches_), end = PositionOf(batches_ + 1), n = net_->coordinates();
  const int64_t trials_before = trials_;
  const auto start = std::chrono::steady_clock::now();
  while (begin + done_ < end) {
    const int64_t position = begin + done_;
    DrawOrder(position / n);
    if (position % n == 0) changes_ = 0;
    if (Improve(net_->At(order_[static_cast<size_t>(position % n)]))) ++changes_;
    ++done_;
    if (full_batch_ && (position + 1) % n == 0 && changes_ == 0) {
      one_opt_ = true;
      return absl::OkStatus();
    }
    if (listener_ && done_ % kListenEvery == 0) {
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      listener_({.done = done_,
                 .total = end - begin,
                 .trials_per_second = static_cast<double>(trials_ - trials_before) / seconds.count(),
                 .loss = evaluation_->mean()});
    }
    if (begin + done_ < end && stop()) return absl::CancelledError("training was stopped");
  }
  return absl::OkStatus();
}

absl::Status CoordinateDescent::RunEpoch(int64_t /*epoch*/, EpochBatches& batches,
                                         absl::FunctionRef<void(const StepResult& step)> finished,
                                         absl::FunctionRef<bool()> stop) {
  if (!has_values_) net_->Randomize(seed_);
  has_values_ = true;
  for (const Batch& batch : batches) {
    StepResult result;
    {
      const Stopwatch stopwatch(microseconds_);
      BITGRAD_RETURN_IF_ERROR(Evaluate(batch));
      BITGRAD_RETURN_IF_ERROR(SearchBatch(stop));
      result.examples = evaluation_->examples();
      result.loss = static_cast<float>(evaluation_->mean());
      result.metrics = {{kErrors, static_cast<double>(evaluation_->errors()), result.examples}};
    }
    done_ = 0;
    ++batches_;
    finished(result);
    if (stop()) return absl::CancelledError("training was stopped");
  }
  return batches.status();
}

absl::StatusOr<double> CoordinateDescent::SelectionLoss(int64_t epoch, absl::FunctionRef<bool()> stop) {
  if (full_batch_ && evaluation_ != nullptr) return evaluation_->mean();
  double sum = 0;
  int64_t examples = 0;
  EpochBatches batches = loader_.Epoch(epoch);
  for (const Batch& batch : batches) {
    BITGRAD_ASSIGN_OR_RETURN(evaluation_, IncrementalLoss::Create(*net_, loss_, batch, context_.threads()));
    sum += evaluation_->mean() * static_cast<double>(batch.size());
    examples += batch.size();
    if (stop()) return absl::CancelledError("training was stopped");
  }
  BITGRAD_RETURN_IF_ERROR(batches.status());
  return sum / static_cast<double>(examples);
}

std::vector<ModelValue> CoordinateDescent::Report() const {
  const double seconds = 1e-6 * static_cast<double>(std::max<int64_t>(microseconds_, 1));
  return {{"", "changes", static_cast<double>(changes_)},
          {"", "trials_per_second", static_cast<double>(trials_) / seconds},
          {"", "one_opt", one_opt_ ? 1.0 : 0.0, ValueDisplay::kYesNo}};
}

LearnerState CoordinateDescent::state() const {
  state_ = Tensor(Shape({kStateFields}), DType::kInt64);
  int64_t* const fields = state_.mutable_data<int64_t>();
  fields[kHasValues] = has_values_;
  fields[kDone] = done_;
  fields[kChanges] = changes_;
  fields[kOneOpt] = one_opt_;
  fields[kTrials] = trials_;
  fields[kMicroseconds] = microseconds_;
  return LearnerState({{kStateName, &state_}}, batches_);
}

absl::Status CoordinateDescent::Restore(const LearnerState& state) {
  const bool fits = state.tensors.size() == 1 && state.tensors[0].name == kStateName &&
                    state.tensors[0].tensor->dtype() == DType::kInt64 &&
                    state.tensors[0].tensor->shape() == Shape({kStateFields});
  if (!fits) return absl::FailedPreconditionError("the state is not that of a coordinate descent");
  const int64_t* const fields = state.tensors[0].tensor->data<int64_t>();
  const int64_t coordinates = PositionOf(state.steps + 1) - PositionOf(state.steps);
  if (state.steps < 0 || fields[kDone] < 0 || fields[kDone] > coordinates || fields[kChanges] < 0 ||
      fields[kTrials] < 0 || fields[kMicroseconds] < 0) {
    return absl::FailedPreconditionError(absl::StrCat("the state of the coordinate descent is damaged: ", fields[kDone],
                                                      " coordinates of a batch that has ", coordinates, " are done"));
  }
  if (fields[kHasValues] != 0) BITGRAD_RETURN_IF_ERROR(net_->ReadParameters());
  has_values_ = fields[kHasValues] != 0;
  batches_ = state.steps;
  done_ = fields[kDone];
  changes_ = fields[kChanges];
  one_opt_ = fields[kOneOpt] != 0;
  trials_ = fields[kTrials];
  microseconds_ = fields[kMicroseconds];
  evaluation_ = nullptr;
  return absl::OkStatus();
}

}  // namespace bitgrad
