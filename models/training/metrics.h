// What training measures: sums during an epoch, and from them the epoch's metrics.

#ifndef BITGRAD_MODELS_TRAINING_METRICS_H_
#define BITGRAD_MODELS_TRAINING_METRICS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/graph/arithmetic.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/metric_display.h"
#include "bitgrad/models/training/step_result.h"
#include "bitgrad/proto/checkpoint.pb.h"

namespace bitgrad {

// Adds the measurements of one step to `sums`: its loss and penalty, means over what its first metric counts (images,
// tokens); that metric; and of each quantized layer how many signs of weights flipped and how many latent weights are
// at the clip, both as the optimizer counted them in `store`, and how many activations lay inside the straight-through
// estimator's window, as the tape observed them.
void AddStep(const StepResult& step, const ParameterStore& store, checkpoint::PartialSums& sums);

// The metrics of the epoch so far. Errors, where the first metric counts them, and the numbers of layers are shares in
// [0, 1]. Validation and test errors are left for the caller to set.
checkpoint::EpochMetrics Summarize(const checkpoint::PartialSums& sums);

// Adds what the model tells of itself: values of a layer to that layer, the others to the epoch.
void AddValues(const std::vector<ModelValue>& values, checkpoint::EpochMetrics& metrics);

// Adds what a step computes.
void AddArithmetic(absl::Span<const LayerArithmetic> layers, checkpoint::EpochMetrics& metrics);

// The values of the whole model as a program's last line has them: " average_weight_bits=3.2", each with a space before
// it. Empty where there are none.
std::string FormatValues(const checkpoint::EpochMetrics& metrics);

// The metrics as people read them: a line for the epoch, then a line for each quantized layer.
std::string FormatEpoch(const checkpoint::EpochMetrics& metrics, int epochs,
                        MetricDisplay display = MetricDisplay::kErrorPercent);

// "train_error=5.12% valid_error=6.10% test_error=6.33%", "train_perplexity=80.25 ...": as last lines have them.
std::string FormatFinal(const checkpoint::EpochMetrics& metrics, MetricDisplay display);

// A file of JSON lines, one object per epoch. JSON has no numbers that are not finite: they are written as null, as the
// validation error of a run without validation examples is. The fields train_error, valid_error and test_error are
// called and shown as the display has them: train_perplexity. With an empty path nothing is written.
class MetricsFile {
 public:
  explicit MetricsFile(std::string path, MetricDisplay display = MetricDisplay::kErrorPercent)
      : path_(std::move(path)), display_(display) {}
  void set_display(MetricDisplay display) { display_ = display; }
  // FailedPrecondition where the path names a file with other contents than metrics, which Begin() would wipe out: a
  // recipe, a checkpoint, a data set's file. Nothing is written.
  absl::Status CheckReplaceable() const;
  // Begins the file anew with the epochs already done (none, or those of a resumed run). Errors: those of
  // CheckReplaceable(), and what the system says.
  absl::Status Begin(const google::protobuf::RepeatedPtrField<checkpoint::EpochMetrics>& epochs);
  // Adds a line. Errors: what the system says.
  absl::Status Append(const checkpoint::EpochMetrics& metrics);

 private:
  absl::Status Write(const char* mode, absl::string_view text);
  std::string path_;
  MetricDisplay display_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_METRICS_H_
