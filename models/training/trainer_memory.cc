// Trainer's memory: predicted before it is allocated, compared with what there is, and reported.

#include <string>

#include "absl/strings/str_format.h"
#include "bitgrad/core/available_memory.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/training/memory_plan.h"
#include "bitgrad/models/training/step_memory.h"
#include "bitgrad/models/training/trainer.h"

namespace bitgrad {
namespace {

constexpr int64_t kFloat = sizeof(float);

std::string Megabytes(int64_t bytes) { return absl::StrFormat("%.2f MB", 1e-6 * static_cast<double>(bytes)); }

// The limits that are known are the host's: on a GPU nothing is compared.
absl::Status CheckOnHost(const MemoryPlan& plan, Device device, std::FILE* log) {
  if (device != Device::kCpu) return absl::OkStatus();
  const absl::Status status = plan.Check(FindAvailableMemory());
  if (!status.ok()) {
    absl::FPrintF(log, "memory:\n%s", plan.Table());
    std::fflush(log);
  }
  return status;
}

}  // namespace

// What depends on the model's size alone, before any of it is allocated.
absl::Status Trainer::CheckModelMemory() {
  ParameterStore measuring{ParameterStore::MeasuresOnly()};
  const DataKind kind = data_->kind();
  BITGRAD_RETURN_IF_ERROR(
      MakeNetwork(phases_[static_cast<size_t>(phase_)].recipe.model(), kind.image, kind.classes, measuring).status());
  const ParameterStore::Elements elements = measuring.measured();
  const DataMemory data = data_->memory();
  MemoryPlan plan;
  plan.AddHeld(data.name, data.held);
  plan.Add("parameters", kFloat * elements.all);
  if (optimizer_ != nullptr) plan.Add("gradients", kFloat * elements.trainable);
  int64_t state = 0;
  for (size_t i = 0; i < measuring.parameters().size(); ++i) {
    const Parameter& parameter = *measuring.parameters()[i];
    if (!parameter.trainable || optimizer_ == nullptr) continue;
    state += kFloat * measuring.measured_elements()[i] * optimizer_->slots(parameter);
  }
  plan.Add("optimizer's state", state);
  return CheckOnHost(plan, context_.device(), options_.log);
}

absl::Status Trainer::PredictMemory() {
  BITGRAD_RETURN_IF_ERROR(context_.Synchronize());
  lasting_bytes_ = static_cast<int64_t>(context_.allocator().live_bytes());
  const ExecContext::Options options{.device = context_.device(),
                                     .threads = context_.threads(),
                                     .seed = context_.seed(),
                                     .backward = context_.backward_precision()};
  const DataMemory data = data_->memory();
  if (optimizer_ == nullptr) return CheckSearchMemory(data);
  BITGRAD_ASSIGN_OR_RETURN(predicted_step_bytes_,
                           PredictStepMemory(options, *bundle_.model, *bundle_.store, *task_, recipe_.batch_size()));
  BITGRAD_ASSIGN_OR_RETURN(const int64_t evaluation_bytes,
                           PredictEvaluationMemory(options, *bundle_.model, *bundle_.store, *task_, data.evaluated));
  int64_t parameters = 0, state = 0;
  for (const Parameter* parameter : bundle_.store->parameters()) {
    const auto bytes = static_cast<int64_t>(parameter->value.byte_size());
    parameters += bytes;
    if (parameter->trainable) state += bytes * optimizer_->slots(*parameter);
  }
  MemoryPlan plan;
  plan.AddHeld(data.name, data.held);
  plan.AddHeld("parameters", parameters);
  const bool resumed = optimizer_->step_count() > 0;
  resumed ? plan.AddHeld("optimizer's state", state) : plan.Add("optimizer's state", state);
  plan.Add("a training step, gradients included", predicted_step_bytes_);
  // The pool keeps the blocks of both.
  plan.Add("an evaluation", evaluation_bytes);
  plan.Add("batches that are prepared ahead", (PrefetchOptions().prefetch + 1) * data.batch);
  absl::FPrintF(options_.log, "memory: parameters %s, a step %s (predicted)\n", Megabytes(parameters),
                Megabytes(predicted_step_bytes_));
  std::fflush(options_.log);
  return CheckOnHost(plan, context_.device(), options_.log);
}

// Of a learner without gradients: a batch as it comes and, at most, an index and a code for each of its values.
absl::Status Trainer::CheckSearchMemory(const DataMemory& data) {
  MemoryPlan plan;
  plan.AddHeld(data.name, data.held);
  plan.Add("a batch as the search sees it", 2 * data.batch);
  plan.Add("batches that are prepared ahead", (PrefetchOptions().prefetch + 1) * data.batch);
  memory_reported_ = true;
  return CheckOnHost(plan, context_.device(), options_.log);
}

void Trainer::ReportMemory() {
  int64_t state = 0;
  for (const NamedTensor& tensor : optimizer_->state()) state += static_cast<int64_t>(tensor.tensor->byte_size());
  absl::FPrintF(options_.log, "memory of a step: predicted %s, measured %s; optimizer's state %s\n",
                Megabytes(predicted_step_bytes_),
                Megabytes(static_cast<int64_t>(learner_->peak_bytes()) - lasting_bytes_), Megabytes(state));
  std::fflush(options_.log);
  memory_reported_ = true;
}

}  // namespace bitgrad
