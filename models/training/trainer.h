// Trainer: the training loop of a recipe.
//
//   BITGRAD_ASSIGN_OR_RETURN(auto trainer, Trainer::Create(recipe, {.data_dir = dir, .out_dir = "run1"}));
//   BITGRAD_ASSIGN_OR_RETURN(TrainResult result, trainer->Run());
//
// Before memory for the model is allocated, and again before the first step, it compares what the run will need with
// what the machine or its control group has: where that is less, the run ends with a table of what needs how much. It
// tells how much memory a step will take, and after the first one how much it took: the peak of the context's pool,
// that is values, what is held for the backward pass, gradients and scratch.
//
// After each epoch, before anything is evaluated, it estimates the running statistics of batch norms anew where the
// recipe says so (norm_reestimation.h): what is validated, kept and checkpointed is the model with these statistics.
//
// After each epoch it writes out_dir/checkpoint.bgc, from which a run resumes bit for bit, and, when the validation
// error is the best so far (ties: the later epoch), out_dir/best.bgc, the model that counts. The test error reported in
// the end is that of the best epoch; test examples choose nothing.
//
// The folder belongs to the trainer as long as it lives (run_folder.h). A new run never writes to a folder that holds
// one.
//
// What is trained on, images or a text, and what is learned of it is the data's (training_data.h). Where this says
// error, it is the task's first metric: of a text, the negative log-likelihood.
//
// A run is resumed with the data it had, by the fingerprints that the checkpoint keeps (data/fingerprint.h), and with
// its recipe, but for the fields of ResumeFields() (resume_fields.h). With more epochs than it had, a finished run goes
// on.
//
// A recipe may have phases (models/recipe_phases.h). Each begins with the model of the one before, made anew with the
// phase's options, and with the optimizer's state. The model that counts is the best one of the last phase.
//
// A learner may end the training before its last epoch, and may have the best model chosen by its loss on all training
// examples in place of the validation error (learner.h); coordinate descent does both.
//
// SIGINT, SIGTERM and SIGHUP stop a run (interrupt.h): before the first step at once, for there is nothing to save;
// later after the batch, of training or evaluation, that it is at, with out_dir/checkpoint.bgc written.

#ifndef BITGRAD_MODELS_TRAINING_TRAINER_H_
#define BITGRAD_MODELS_TRAINING_TRAINER_H_

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/graph/arithmetic.h"
#include "bitgrad/models/diagnostics/answer_diagnostics.h"
#include "bitgrad/models/diagnostics/run_observer.h"
#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/models/diagnostics/step_diagnostics.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/recipe_phases.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/interrupt.h"
#include "bitgrad/models/training/learner.h"
#include "bitgrad/models/training/metrics.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/progress.h"
#include "bitgrad/models/training/run_folder.h"
#include "bitgrad/models/training/task.h"
#include "bitgrad/models/training/training_data.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/proto/checkpoint.pb.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct TrainOptions {
  std::string data_dir;
  std::string out_dir;
  bool number_out_dir = false;  // a new run takes out_dir_2, out_dir_3, ... where out_dir holds a run already
  std::string metrics_file;     // JSON lines; empty: none
  Device device = Device::kCpu;
  int threads = 0;       // 0: all
  int data_workers = 1;  // threads that prepare batches, beside those
  bool resume = false;   // continue out_dir/checkpoint.bgc
  // Print what a step computes (step_arithmetic.h), and write it to the metrics of each epoch.
  bool count_arithmetic = false;
  // Who watches the run (models/diagnostics/run_observer.h). Where there is somebody, diagnostics are collected, and
  // written to the run's folder after each epoch (models/diagnostics/run_record.h); training has the same bits.
  std::vector<std::shared_ptr<RunObserver>> observers;
  std::FILE* log = stdout;
  // Called once, before the first step, with the model and the shape of one input, which of a text, a token, is [].
  // It may not change parameters.
  std::function<absl::Status(ExecContext& context, Model& model, const Shape& example)> before_training;
  // What a shell calls the program that resumes runs, with --resume, --out and the other options as flags: the
  // beginning of the command that an interrupted run names.
  std::string command = "train";
};

struct TrainResult {
  checkpoint::EpochMetrics best;                         // the epoch with the best validation error
  MetricDisplay display = MetricDisplay::kErrorPercent;  // how its errors are shown
  int epochs = 0;
  std::string checkpoint;  // path of best.bgc
};

class Trainer {
 public:
  // Opens the folder, loads the data, builds the model, and with options.resume restores where the run stood.
  // FailedPrecondition where the folder holds a run and this is a new one, where another process has the folder, and
  // where the checkpoint to resume is of other data or of a recipe that differs in a field that may not change.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const recipe::Recipe& recipe, const TrainOptions& options);

  // Trains to the end. Cancelled when a signal stopped it: a checkpoint was written, and the message has the command
  // that continues the run. OutOfRange when the loss or a gradient is not finite, with the layer and the last good
  // checkpoint.
  absl::StatusOr<TrainResult> Run();

  // The run's folder: options.out_dir, with its number if it has got one.
  const std::string& out_dir() const { return folder_->path(); }

 private:
  Trainer(const recipe::Recipe& recipe, const TrainOptions& options);
  absl::Status Load();
  absl::Status OpenFolder();
  absl::Status LoadData();
  absl::Status CheckMetricsFile() const;
  absl::Status MakeLearner();
  absl::Status MakeCoordinateDescent();
  // Ends the phase that the run is in, and begins the one of this index.
  absl::Status BeginPhase(int index);
  void PrintPhase() const;
  absl::StatusOr<Checkpoint> OpenCheckpoint();
  absl::Status CheckSteps(const Checkpoint& checkpoint) const;
  absl::Status Restore(const Checkpoint& checkpoint);
  absl::Status CheckBest();
  void PrintResumed(const checkpoint::Header& header);
  std::string ResumeCommand() const;
  absl::Status RunEpoch(int epoch);
  bool IsBest(const checkpoint::EpochMetrics& metrics, bool by_loss) const;
  absl::Status FinishEpoch(int epoch);
  absl::Status CheckModelMemory();
  absl::Status CountArithmetic();
  absl::Status PredictMemory();
  absl::Status CheckSearchMemory(const DataMemory& data);
  void ReportMemory();
  // The diagnostics of an epoch, where somebody watches: what evaluations tell is added by the listener's calls.
  EvaluationListener AnswerListener();
  absl::Status Observe(int epoch);
  void TellObservers(bool begin);
  void DescribeLatest(int epoch);
  void AddSamples();
  absl::Status Diverged(int epoch, const absl::Status& error);
  std::vector<double> Results() const;
  absl::Status SaveLatest();
  // Saves where the epoch stands; the Cancelled error with what to do.
  absl::Status Interrupted(int epoch);

  const InterruptGuard interrupt_guard_;
  recipe::Recipe recipe_;
  TrainOptions options_;
  ExecContext context_;
  std::unique_ptr<RunFolder> folder_;
  std::vector<RecipePhase> phases_;
  int phase_ = 0;  // that the run is in
  std::unique_ptr<TrainingData> data_;
  MetricDisplay display_ = MetricDisplay::kErrorPercent;
  // Of the phase that the run is in.
  std::unique_ptr<Task> task_;
  int64_t reestimate_batches_ = 0;  // 0: running statistics stay as training has left them
  ModelBundle bundle_;
  std::unique_ptr<Optimizer> optimizer_;  // null where the learner is none of gradients
  std::unique_ptr<Learner> learner_;
  checkpoint::Header state_;  // recipe, data, progress, metrics of complete epochs
  // Bytes of the context's pool: what was handed out before the first step (on a GPU the parameters, on the CPU
  // nothing), and what a step will take beside that.
  int64_t lasting_bytes_ = 0;
  int64_t predicted_step_bytes_ = 0;
  bool memory_reported_ = false;
  std::vector<LayerArithmetic> arithmetic_;  // of a step; empty where it is not counted
  bool best_is_lost_ = false;                // best.bgc of the resumed run is missing or damaged
  MetricsFile metrics_;
  ProgressBar bar_;
  // Where somebody watches the run; steps only on the CPU.
  RunRecord record_;
  std::unique_ptr<StepDiagnostics> step_diagnostics_;
  absl::optional<AnswerDiagnostics> answers_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_TRAINER_H_
