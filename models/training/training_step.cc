#include "bitgrad/models/training/training_step.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/can_learn.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

// How many steps run unrecorded before a step is recorded, not counting the very first one, which uploads its labels.
// After them the optimizer and the layers have allocated what they keep from step to step.
constexpr int kEagerSteps = 2;
// After so many failures no more recordings are tried: each step seems to allocate what it keeps anew.
constexpr int kMostFailedRecords = 3;

// Where the parts of the results begin, in int64s.
constexpr int64_t kLoss = 0, kErrors = 1, kObservations = 2;

}  // namespace

// A step up to its update. The Vars keep their values.
struct TrainingStep::Forward {
  std::unique_ptr<Tape> tape;
  Var logits, loss;
};

TrainingStep::TrainingStep(ExecContext& context, Model& model, absl::Span<Parameter* const> parameters,
                           Optimizer& optimizer, Loss loss)
    : context_(context),
      model_(model),
      parameters_(parameters.begin(), parameters.end()),
      optimizer_(optimizer),
      loss_(std::move(loss)),
      device_step_(context, 1) {}

TrainingStep::~TrainingStep() = default;

absl::Status TrainingStep::Enqueue(const Tensor& images, const Tensor& labels, double learning_rate) {
  BITGRAD_CHECK(unfinished_ < DeviceStream::kReadbacks);
  BITGRAD_RETURN_IF_ERROR(CheckTrainable(parameters_));
  BITGRAD_RETURN_IF_ERROR(SetBatch(images, labels));
  optimizer_.set_learning_rate(learning_rate);
  if (recorded_ != nullptr) {
    BITGRAD_RETURN_IF_ERROR(optimizer_.Begin(parameters_));
    context_.AdvanceStep();
    const uint32_t step = context_.step();
    context_.Upload(device_step_.data(), &step, sizeof(step));
    recorded_->Enqueue();
  } else {
    BITGRAD_RETURN_IF_ERROR(RunEagerly(labels));
  }
  if (readback_ != nullptr) {
    readback_->Enqueue();
  } else {
    host_results_.push_back(results_->Download());
  }
  ++unfinished_;
  BITGRAD_RETURN_IF_ERROR(context_.status());
  if (recorded_ == nullptr && eager_steps_ >= kEagerSteps && failed_records_ < kMostFailedRecords) return Record();
  return absl::OkStatus();
}

// On the CPU the batch is used where it lies. On a GPU it is copied to memory on the device.
absl::Status TrainingStep::SetBatch(const Tensor& images, const Tensor& labels) {
  if (images.is_null() || images.shape().rank() == 0 || labels.is_null() || labels.dtype() != DType::kInt32) {
    return absl::InvalidArgumentError("training step: it takes images [batch, ...], and labels that are int32");
  }
  if (context_.stream() == nullptr) {
    images_ = images.Alias();
    labels_ = labels.Alias();
    return absl::OkStatus();
  }
  for (const int32_t label : labels.span<int32_t>()) {
    // The loss checks labels only where they lie on the host, as those of the first step do. Then the number of classes
    // is not known here yet.
    if (classes_ == 0 || (label >= 0 && label < classes_)) continue;
    return absl::InvalidArgumentError(absl::StrCat("training step: label ", label, " is not in [0, ", classes_, ")"));
  }
  if (images_.is_null() || images.shape() != images_.shape() || labels.shape() != labels_.shape()) {
    recorded_ = nullptr;
    eager_steps_ = 0;
    Tensor device_images(images.shape(), images.dtype(), context_.lasting_allocator());
    Tensor device_labels(labels.shape(), labels.dtype(), context_.lasting_allocator());
    DeviceStream& stream = *context_.stream();
    BITGRAD_ASSIGN_OR_RETURN(auto image_feed, stream.NewFeed(device_images.mutable_raw_data(), images.byte_size()));
    BITGRAD_ASSIGN_OR_RETURN(auto label_feed, stream.NewFeed(device_labels.mutable_raw_data(), labels.byte_size()));
    images_ = std::move(device_images);
    labels_ = std::move(device_labels);
    image_feed_ = std::move(image_feed);
    label_feed_ = std::move(label_feed);
  }
  image_feed_->Send(images.raw_data());
  label_feed_->Send(labels.raw_data());
  return absl::OkStatus();
}

absl::StatusOr<TrainingStep::Forward> TrainingStep::ForwardAndBackward(const Tensor& labels) {
  Forward forward = {.tape = std::make_unique<Tape>(context_)};
  forward.logits = model_.Forward(forward.tape->Input(images_));
  BITGRAD_RETURN_IF_ERROR(forward.tape->status());
  const int64_t examples = images_.shape().dim(0);
  BITGRAD_RETURN_IF_ERROR(CheckBatchNorms(*forward.tape, examples, examples));
  forward.loss = loss_(forward.logits, labels);
  BITGRAD_RETURN_IF_ERROR(forward.tape->Backward(forward.loss));
  return forward;
}

absl::Status TrainingStep::UpdateAndMeasure(const Forward& forward) {
  BITGRAD_ASSIGN_OR_RETURN(const Tensor* loss, forward.tape->Value(forward.loss));
  BITGRAD_RETURN_IF_ERROR(optimizer_.Enqueue(parameters_, loss->data<float>()));
  for (Parameter* parameter : parameters_) parameter->gradient = Tensor();

  const absl::Span<const CounterValue> observed = forward.tape->unread_counters();
  const auto observations = static_cast<int64_t>(observed.size());
  const size_t report_bytes = optimizer_.report_bytes();
  const int64_t size = kObservations + observations + static_cast<int64_t>((report_bytes + 7) / 8);
  if (results_ == nullptr || results_->count() != size) {
    BITGRAD_CHECK(unfinished_ == 0);
    readback_ = nullptr;
    results_ = std::make_unique<DeviceArray<int64_t>>(context_, size);
    if (context_.stream() != nullptr) {
      BITGRAD_ASSIGN_OR_RETURN(readback_,
                               context_.stream()->NewReadback(results_->data(), static_cast<size_t>(size) * 8));
    }
  }
  observed_.assign(observed.begin(), observed.end());
  int64_t* const results = results_->data();
  PoolAllocator& memory = context_.allocator();
  memory.Copy(results + kLoss, loss->raw_data(), sizeof(float));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor* logits, forward.tape->Value(forward.logits));
  classes_ = logits->shape().cols();
  KernelsFor(context_.device())
      .count_errors(context_, logits->matrix<float>(), labels_.data<int32_t>(), results + kErrors);
  forward.tape->CopyCounters(results + kObservations);
  memory.Copy(results + kObservations + observations, optimizer_.report(), report_bytes);
  return context_.status();
}

absl::Status TrainingStep::RunEagerly(const Tensor& host_labels) {
  int64_t transfers = context_.transfers();
  BITGRAD_ASSIGN_OR_RETURN(const Forward forward, ForwardAndBackward(classes_ == 0 ? host_labels : labels_));
  if (peak_bytes_ == 0) peak_bytes_ = context_.allocator().peak_bytes();
  const int64_t before_begin = context_.transfers();
  if (absl::Status error = optimizer_.Begin(parameters_); !error.ok()) {
    for (Parameter* parameter : parameters_) parameter->gradient = Tensor();
    return error;
  }
  transfers += context_.transfers() - before_begin;
  BITGRAD_RETURN_IF_ERROR(UpdateAndMeasure(forward));
  // A recording holds what the device does, so that a step that copies to or from the host cannot be recorded.
  const bool recordable = context_.stream() != nullptr && context_.transfers() == transfers;
  eager_steps_ = recordable ? eager_steps_ + 1 : 0;
  return absl::OkStatus();
}

std::vector<const void*> TrainingStep::Addresses() const {
  std::vector<const void*> addresses = {results_->data()};
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
    BITGRAD_ASSIGN_OR_RETURN(const Forward forward, ForwardAndBackward(labels_));
    return UpdateAndMeasure(forward);
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
  BITGRAD_CHECK(unfinished_ > 0);
  --unfinished_;
  std::vector<int64_t> on_host;
  const int64_t* results;
  if (readback_ != nullptr) {
    results = static_cast<const int64_t*>(readback_->Next());
  } else {
    on_host = std::move(host_results_.front());
    host_results_.pop_front();
    results = on_host.data();
  }
  BITGRAD_RETURN_IF_ERROR(context_.status());
  StepResult result;
  std::memcpy(&result.loss, results + kLoss, sizeof(float));
  result.errors = results[kErrors];
  result.observations = observed_;
  for (size_t i = 0; i < observed_.size(); ++i) result.observations[i].inside = results[kObservations + i];
  const absl::Status status =
      optimizer_.Finish(parameters_, results + kObservations + static_cast<int64_t>(observed_.size()));
  if (!status.ok()) {
    recorded_ = nullptr;
    return status;
  }
  return result;
}

}  // namespace bitgrad
