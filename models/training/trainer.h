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

#ifndef BITGRAD_MODELS_TRAINING_TRAINER_H_
#define BITGRAD_MODELS_TRAINING_TRAINER_H_

#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/interrupt.h"
#include "bitgrad/models/training/metrics.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/progress.h"
#include "bitgrad/models/training/training_step.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/schedule.h"
#include "bitgrad/proto/checkpoint.pb.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct TrainOptions {
  std::string data_dir;
  std::string out_dir;
  std::string metrics_file;  // JSON lines; empty: none
  Device device = Device::kCpu;
  int threads = 0;       // 0: all
  int data_workers = 1;  // threads that prepare batches, beside those
  bool resume = false;   // continue out_dir/checkpoint.bgc
  std::FILE* log = stdout;
};

struct TrainResult {
  checkpoint::EpochMetrics best;  // the epoch with the best validation error
  int epochs = 0;
  std::string checkpoint;  // path of best.bgc
};

class Trainer {
 public:
  // Loads the data, builds the model, and with options.resume restores where the run stood.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const recipe::Recipe& recipe, const TrainOptions& options);

  // To the end. Cancelled, with a checkpoint written and how to resume in the message, on Ctrl-C; OutOfRange when the
  // loss or a gradient is not finite, with the layer and the last good checkpoint.
  absl::StatusOr<TrainResult> Run();

 private:
  Trainer(const recipe::Recipe& recipe, const TrainOptions& options);
  absl::Status Load();
  void FitPreprocessing();
  absl::Status Resume();
  absl::Status RunEpoch(int epoch, const InterruptGuard& interrupt);
  absl::Status FinishEpoch(int epoch);
  absl::Status FinishStep(int epoch);
  absl::Status CheckModelMemory();
  absl::Status PredictMemory();
  void ReportMemory();
  double LearningRate(int epoch, int64_t batch) const;
  absl::Status ExplainDivergence(int epoch, int64_t batch, const absl::Status& error);
  absl::Status SaveLatest();
  std::string LatestPath() const { return options_.out_dir + "/checkpoint.bgc"; }
  std::string BestPath() const { return options_.out_dir + "/best.bgc"; }

  recipe::Recipe recipe_;
  TrainOptions options_;
  ExecContext context_;
  Dataset train_, test_;
  TrainValidation parts_;
  std::shared_ptr<Preprocessing> preprocessing_;
  std::unique_ptr<BatchLoader> loader_;
  int64_t reestimate_batches_ = 0;  // 0: running statistics stay as training has left them
  ModelBundle bundle_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Schedule> schedule_;
  std::unique_ptr<TrainingStep> step_;
  checkpoint::Header state_;  // recipe, progress, metrics of done epochs
  // Of the pool: what is handed out before the first step (on a GPU parameters, on the CPU nothing), then a step's own.
  int64_t lasting_bytes_ = 0;
  int64_t predicted_step_bytes_ = 0;
  bool memory_reported_ = false;
  MetricsFile metrics_;
  ProgressBar bar_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_TRAINER_H_
