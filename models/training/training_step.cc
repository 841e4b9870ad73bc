#include "bitgrad/models/training/training_step.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/can_learn.h"
#include "bitgrad/ops/round.h"
#include "bitgrad/ops/row_gradient.h"

namespace bitgrad {
namespace {

// How many steps run unrecorded before a step is recorded. After them the optimizer and the layers have allocated what
// they keep from step to step.
constexpr int kEagerSteps = 3;
// After so many failures no more recordings are tried: each step seems to allocate what it keeps anew.
constexpr int kMostFailedRecords = 3;

// Whether the tensors of two batches have the same names, types and shapes.
bool SameShapes(const Batch& a, const Batch& b) {
  for (const BatchField& field : kBatchFields) {
    const Tensor &x = a.*field.tensor, &y = b.*field.tensor;
    if (x.is_null() != y.is_null()) return false;
    if (!x.is_null() && (x.shape() != y.shape() || x.dtype() != y.dtype())) return false;
  }
  return true;
}

}  // namespace

// A step up to its update. The Vars keep their values.
struct TrainingStep::Forward {
  std::unique_ptr<Tape> tape;
  Objective objective;
};

TrainingStep::TrainingStep(ExecContext& context, Model& model, const Task& task,
                           absl::Span<Parameter* const> parameters, Optimizer& optimizer, GradientReducer* reducer)
    : context_(context),
      model_(model),
      task_(task),
      parameters_(parameters.begin(), parameters.end()),
      optimizer_(optimizer),
      reducer_(reducer),
      states_(context),
      device_step_(context, 1) {}

TrainingStep::~TrainingStep() = default;

absl::Status TrainingStep::Enqueue(const Batch& batch, double learning_rate) {
  BITGRAD_CHECK(unfinished() < DeviceStream::kReadbacks);
  BITGRAD_RETURN_IF_ERROR(CheckTrainable(parameters_));
  BITGRAD_RETURN_IF_ERROR(task_.Check(batch));
  BITGRAD_RETURN_IF_ERROR(SetBatch(batch));
  if (batch.index == 0) states_.Reset();
  optimizer_.set_learning_rate(learning_rate);
  if (recorded_ != nullptr) {
    BITGRAD_RETURN_IF_ERROR(optimizer_.Begin(parameters_));
    context_.AdvanceStep();
    const uint32_t step = context_.step();
    context_.Upload(device_step_.data(), &step, sizeof(step));
    recorded_->Enqueue();
  } else {
    BITGRAD_RETURN_IF_ERROR(RunEagerly());
  }
  if (readback_ != nullptr) {
    readback_->Enqueue();
  } else {
    host_blocks_.push_back(block_->Download());
  }
  BITGRAD_RETURN_IF_ERROR(states_.Commit());
  begun_.push_back({batch.size(), task_.Count(batch), context_.step()});
  BITGRAD_RETURN_IF_ERROR(context_.status());
  if (recorded_ == nullptr && eager_steps_ >= kEagerSteps && failed_records_ < kMostFailedRecords) return Record();
  return absl::OkStatus();
}

// On the CPU the batch is used where it lies. On a GPU it is copied to memory on the device.
absl::Status TrainingStep::SetBatch(const Batch& batch) {
  if (context_.stream() == nullptr) {
    for (const BatchField& field : kBatchFields) {
      const Tensor& tensor = batch.*field.tensor;
      batch_.*field.tensor = tensor.is_null() ? Tensor() : tensor.Alias();
    }
    return absl::OkStatus();
  }
  if (!SameShapes(batch, batch_)) {
    recorded_ = nullptr;
    eager_steps_ = 0;
    Batch device_batch;
    std::vector<std::unique_ptr<DeviceStream::Feed>> feeds;
    for (const BatchField& field : kBatchFields) {
      const Tensor& from = batch.*field.tensor;
      if (from.is_null()) continue;
      Tensor to(from.shape(), from.dtype(), context_.lasting_allocator());
      BITGRAD_ASSIGN_OR_RETURN(auto feed, context_.stream()->NewFeed(to.mutable_raw_data(), from.byte_size()));
      device_batch.*field.tensor = std::move(to);
      feeds.push_back(std::move(feed));
    }
    batch_ = std::move(device_batch);
    feeds_ = std::move(feeds);
  }
  size_t next = 0;
  for (const BatchField& field : kBatchFields) {
    const Tensor& tensor = batch.*field.tensor;
    if (!tensor.is_null()) feeds_[next++]->Send(tensor.raw_data());
  }
  return absl::OkStatus();
}

absl::StatusOr<TrainingStep::Forward> TrainingStep::ForwardAndBackward(StepObserver* observer) {
  Forward forward = {.tape = std::make_unique<Tape>(context_)};
  forward.tape->set_states(&states_);
  if (observer != nullptr) observer->Begin(*forward.tape);
  forward.objective = RecordObjective(task_, model_, *forward.tape, batch_);
  BITGRAD_RETURN_IF_ERROR(forward.tape->status());
  BITGRAD_RETURN_IF_ERROR(CheckBatchNorms(*forward.tape, batch_.size(), batch_.size()));
  BITGRAD_RETURN_IF_ERROR(forward.tape->Backward(forward.objective.scaled));
  if (reducer_ != nullptr) {
    // What it adds up with others' gradients has to be of the same elements everywhere.
    for (Parameter* parameter : parameters_) ExpandRowGradient(context_, *parameter);
    BITGRAD_RETURN_IF_ERROR(reducer_->Reduce(context_, parameters_));
  }
  return forward;
}

absl::Status TrainingStep::UpdateAndMeasure(const Forward& forward, StepObserver* observer) {
  Tape& tape = *forward.tape;
  const Objective& objective = forward.objective;
  BITGRAD_ASSIGN_OR_RETURN(const Tensor* loss, tape.Value(objective.total));
  if (observer != nullptr) observer->BeforeUpdate(parameters_);
  BITGRAD_RETURN_IF_ERROR(optimizer_.Enqueue(parameters_, loss->data<float>()));
  AdjustRanges(context_, parameters_);
  for (Parameter* parameter : parameters_) parameter->DropGradient();
  if (observer != nullptr) observer->AfterUpdate(parameters_);

  const absl::Span<const CounterValue> counters = tape.unread_counters();
  const StepBlock::Sizes sizes = {.metrics = static_cast<int64_t>(task_.metrics().size()),
                                  .counters = static_cast<int64_t>(counters.size()),
                                  .optimizer_bytes = optimizer_.report_bytes()};
  if (block_ == nullptr || block_->sizes() != sizes) {
    BITGRAD_CHECK(unfinished() == 0);
    readback_ = nullptr;
    block_ = std::make_unique<StepBlock>(context_, sizes);
    if (context_.stream() != nullptr) {
      BITGRAD_ASSIGN_OR_RETURN(readback_, context_.stream()->NewReadback(block_->block(), block_->bytes()));
    }
  }
  counters_.assign(counters.begin(), counters.end());
  has_penalty_ = objective.penalty.tape() != nullptr;
  PoolAllocator& memory = context_.allocator();
  memory.Copy(&block_->losses()->total, loss->raw_data(), sizeof(float));
  if (has_penalty_) {
    BITGRAD_ASSIGN_OR_RETURN(const Tensor* penalty, tape.Value(objective.penalty));
    memory.Copy(&block_->losses()->penalty, penalty->raw_data(), sizeof(float));
  }
  BITGRAD_RETURN_IF_ERROR(task_.Measure(tape, objective.output, batch_, block_->metrics()));
  tape.CopyCounters(block_->counters());
  memory.Copy(block_->optimizer(), optimizer_.report(), sizes.optimizer_bytes);
  return context_.status();
}

absl::Status TrainingStep::RunEagerly() {
  int64_t transfers = context_.transfers();
  BITGRAD_ASSIGN_OR_RETURN(const Forward forward, ForwardAndBackward(observer_));
  if (peak_bytes_ == 0) peak_bytes_ = context_.allocator().peak_bytes();
  const int64_t before_begin = context_.transfers();
  if (absl::Status error = optimizer_.Begin(parameters_); !error.ok()) {
    for (Parameter* parameter : parameters_) parameter->DropGradient();
    return error;
  }
  transfers += context_.transfers() - before_begin;
  BITGRAD_RETURN_IF_ERROR(UpdateAndMeasure(forward, observer_));
  // A recording holds what the device does, so that a step that copies to or from the host cannot be recorded.
  const bool recordable = context_.stream() != nullptr && context_.transfers() == transfers;
  eager_steps_ = recordable ? eager_steps_ + 1 : 0;
  return absl::OkStatus();
}

std::vector<const void*> TrainingStep::Addresses() const {
  std::vector<const void*> addresses = {block_->block()};
  for (const Parameter* parameter : parameters_) {
    addresses.push_back(parameter->value.raw_data());
    const std::shared_ptr<const BitMatrix> signs = parameter->signs();
    addresses.push_back(signs == nullptr ? nullptr : signs->view().words);
  }
  return addresses;
}

// Records the next step without running it; the next Enqueue() runs the recording.
absl::Status TrainingStep::Record() {
  const std::vector<const void*> before = Addresses();
  std::vector<Tensor> values;
  for (const Parameter* parameter : parameters_) values.push_back(parameter->value.Alias());
  const uint32_t step = context_.step();
  context_.set_device_step(device_step_.data());
  auto recorded = RecordedWork::Record(context_, [&]() -> absl::Status {
    BITGRAD_ASSIGN_OR_RETURN(const Forward forward, ForwardAndBackward(nullptr));
    return UpdateAndMeasure(forward, nullptr);
  });
  context_.set_device_step(nullptr);
  context_.set_step(step);
  if (!recorded.ok()) return recorded.status();
  if (Addresses() == before) {
    recorded_ = *std::move(recorded);
    return absl::OkStatus();
  }
  // The step has allocated new memory for something that it keeps, so that the recording would read and write the old
  // memory in every further step. It is given up. As nothing ran, the new memory holds nothing, and the old values come
  // back.
  ++failed_records_;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i]->value = std::move(values[i]);
    parameters_[i]->set_signs(nullptr);
  }
  return absl::OkStatus();
}

absl::StatusOr<StepResult> TrainingStep::Finish() {
  BITGRAD_CHECK(unfinished() > 0);
  const Begun begun = begun_.front();
  begun_.pop_front();
  finished_random_step_ = begun.random_step;
  std::vector<char> on_host;
  const void* copy;
  if (readback_ != nullptr) {
    copy = readback_->Next();
  } else {
    on_host = std::move(host_blocks_.front());
    host_blocks_.pop_front();
    copy = on_host.data();
  }
  BITGRAD_RETURN_IF_ERROR(context_.status());
  const StepBlock::Host host = block_->Read(copy);
  StepResult result;
  result.examples = begun.examples;
  result.loss = host.losses->total;
  if (has_penalty_) result.penalty = host.losses->penalty;
  result.metrics = MetricsOf(task_, host.metrics, begun.count);
  result.counters = counters_;
  for (size_t i = 0; i < counters_.size(); ++i) result.counters[i].count = host.counters[i];
  const absl::Status status = optimizer_.Finish(parameters_, host.optimizer);
  if (!status.ok()) {
    recorded_ = nullptr;
    return status;
  }
  return result;
}

}  // namespace bitgrad
