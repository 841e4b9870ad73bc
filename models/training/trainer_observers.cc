// What a Trainer tells those who watch the run, after each epoch.

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/processor_name.h"
#include "bitgrad/core/program_command.h"
#include "bitgrad/core/shell_quote.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/core/version.h"
#include "bitgrad/data/vocabulary.h"
#include "bitgrad/models/diagnostics/channel_diagnostics.h"
#include "bitgrad/models/diagnostics/text_samples.h"
#include "bitgrad/models/diagnostics/weight_diagnostics.h"
#include "bitgrad/models/training/trainer.h"

namespace bitgrad {

// The first evaluation of an epoch that it hears of begins the epoch's answers anew.
EvaluationListener Trainer::AnswerListener() {
  answers_.reset();
  if (options_.observers.empty() || display_ != MetricDisplay::kErrorPercent) return nullptr;
  answers_.emplace(data_->kind().classes);
  return [this](const Batch& batch, Tape& tape, const TaskOutput& output) {
    const absl::StatusOr<const Tensor*> logits = tape.Value(output.predictions);
    if (!logits.ok()) return;  // The evaluation has this error, too.
    const Tensor host = ToHost(context_, **logits);
    answers_->Add(host.matrix<float>(), batch.labels.span<int32_t>());
  };
}

// Adds what is known of the epoch to the record, and tells everybody. Only an error of the model itself is one of the
// run.
absl::Status Trainer::Observe(int epoch) {
  if (options_.observers.empty()) return absl::OkStatus();
  diagnostics::Epoch seen;
  seen.set_epoch(epoch + 1);
  if (step_diagnostics_ != nullptr) step_diagnostics_->FinishEpoch(seen);
  DescribeWeights(context_, bundle_.store->parameters(), seen);
  const BatchLoader* const loader = data_->validation() != nullptr ? data_->validation() : data_->test();
  if (loader != nullptr) {
    EpochBatches batches = loader->Epoch(0);
    if (const Batch* const first = batches.Next(); first != nullptr) {
      BITGRAD_RETURN_IF_ERROR(DescribeChannels(context_, *bundle_.model, *task_, *first, seen));
    }
    BITGRAD_RETURN_IF_ERROR(batches.status());
  }
  if (answers_.has_value()) answers_->Finish(seen);
  record_.diagnostics.push_back(std::move(seen));
  DescribeLatest(epoch);
  TellObservers(/*begin=*/false);
  return absl::OkStatus();
}

void Trainer::DescribeLatest(int epoch) {
  diagnostics::Latest& latest = record_.latest;
  latest.Clear();
  latest.set_epoch(epoch + 1);
  diagnostics::Machine& machine = *latest.mutable_machine();
  machine.set_version(kVersion);
  machine.set_device(Name(context_.device()));
  machine.set_processor(ProcessorName());
  machine.set_cores(static_cast<int32_t>(std::thread::hardware_concurrency()));
  machine.set_threads(context_.threads());
  const auto add_command = [&](const char* purpose, std::string command) {
    diagnostics::Command& added = *latest.add_commands();
    added.set_purpose(purpose);
    added.set_command(std::move(command));
  };
  const std::string packed = ShellQuoted(folder_->path() + "/model.bgm");
  const std::string data =
      options_.data_dir.empty() ? "" : absl::StrCat(" --data_dir=", ShellQuoted(options_.data_dir));
  add_command("continue training", ResumeCommand());
  add_command("freeze the best model", absl::StrCat(ProgramCommand("//export:freeze"), " --checkpoint=",
                                                    ShellQuoted(folder_->best_path()), " --out=", packed));
  add_command("run the frozen model", absl::StrCat(ProgramCommand("//runtime:predict"), " --model=", packed, data));
  if (answers_.has_value()) {
    for (diagnostics::Mistake& mistake : answers_->Worst()) {
      if (auto picture = data_->PictureOf(mistake.example()); picture.has_value()) {
        *mistake.mutable_picture() = *std::move(picture);
      }
      *latest.add_mistakes() = std::move(mistake);
    }
  }
  if (state_.image_shape_size() == 3) {
    for (diagnostics::Picture& filter : FirstFilters(context_, bundle_.store->parameters(), state_.image_shape(0),
                                                     state_.image_shape(1), state_.image_shape(2))) {
      *latest.add_filters() = std::move(filter);
    }
  }
  AddSamples();
}

// A model that gives no numbers writes nothing; that is said, and training goes on.
void Trainer::AddSamples() {
  if (state_.text() == checkpoint::NO_TEXT) return;
  const auto write = [&]() -> absl::StatusOr<std::vector<diagnostics::Sample>> {
    BITGRAD_ASSIGN_OR_RETURN(
        const Vocabulary vocabulary,
        Vocabulary::Of(std::vector<std::string>(state_.class_names().begin(), state_.class_names().end())));
    return WriteSamples(context_, *bundle_.model, vocabulary,
                        state_.text() == checkpoint::WORDS ? TextUnit::kWords : TextUnit::kCharacters);
  };
  absl::StatusOr<std::vector<diagnostics::Sample>> samples = write();
  if (!samples.ok()) {
    absl::FPrintF(options_.log, "warning: samples: %s; training goes on\n", samples.status().message());
    return;
  }
  for (diagnostics::Sample& sample : *samples) *record_.latest.add_samples() = std::move(sample);
}

// What an observer fails at is said, and training goes on.
void Trainer::TellObservers(bool begin) {
  if (options_.observers.empty()) return;
  const auto warn = [&](absl::string_view what, const absl::Status& status) {
    if (!status.ok()) absl::FPrintF(options_.log, "warning: %s: %s; training goes on\n", what, status.message());
  };
  record_.header = state_;
  if (begin) {
    record_.folder = folder_->path();
    record_.display = display_;
    std::vector<std::string> damaged;
    if (state_.epochs_size() > 0) LoadDiagnostics(record_, &damaged);
    for (const std::string& warning : damaged) absl::FPrintF(options_.log, "warning: %s\n", warning);
  } else {
    warn("diagnostics", WriteDiagnostics(record_));
  }
  for (const std::shared_ptr<RunObserver>& observer : options_.observers) {
    warn(observer->name(),
         begin ? observer->Begin(record_, options_.log) : observer->EpochFinished(record_, options_.log));
  }
  std::fflush(options_.log);
}

}  // namespace bitgrad
