// What training measures: sums during an epoch, and from them the epoch's metrics.

#ifndef BITGRAD_MODELS_TRAINING_METRICS_H_
#define BITGRAD_MODELS_TRAINING_METRICS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/proto/checkpoint.pb.h"

namespace bitgrad {

// Adds one step: its loss (mean of the batch), errors, and per quantized layer the sign flips, latent weights at the
// clip (the optimizer's counts) and activations inside the window (the tape's).
void AddStep(double loss, int64_t errors, int64_t examples, absl::Span<const WindowObservation> observations,
             const ParameterStore& store, checkpoint::PartialSums& sums);

// The epoch's metrics so far: shares, in [0, 1]. Validation and test errors are the caller's.
checkpoint::EpochMetrics Summarize(const checkpoint::PartialSums& sums);

// For people: the epoch in a line, then a line per quantized layer.
std::string FormatEpoch(const checkpoint::EpochMetrics& metrics, int epochs);

// A file of JSON lines, one object per epoch. An empty path: nothing is written.
class MetricsFile {
 public:
  explicit MetricsFile(std::string path) : path_(std::move(path)) {}
  // Begins the file anew with the epochs already done (none, or those of a resumed run).
  absl::Status Begin(const google::protobuf::RepeatedPtrField<checkpoint::EpochMetrics>& epochs);
  absl::Status Append(const checkpoint::EpochMetrics& metrics);

 private:
  absl::Status Write(const char* mode, absl::string_view text);
  std::string path_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_METRICS_H_
