// RunRecord: all that is known of a training run, for whoever shows it: a report, a table of several runs, TensorBoard.
// While the run is going on the trainer hands it to RunObservers (run_observer.h); later it is read from its folder.
//
//   BITGRAD_ASSIGN_OR_RETURN(const RunRecord run, LoadRunRecord("bitgrad_mnist_bnn_mlp"));
//   for (const checkpoint::EpochMetrics& epoch : run.header.epochs()) ... epoch.valid_error() ...

#ifndef BITGRAD_MODELS_DIAGNOSTICS_RUN_RECORD_H_
#define BITGRAD_MODELS_DIAGNOSTICS_RUN_RECORD_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/models/training/metric_display.h"
#include "bitgrad/proto/checkpoint.pb.h"
#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad {

struct RunRecord {
  std::string folder;
  checkpoint::Header header;  // recipe, data, and the metrics of the complete epochs
  MetricDisplay display = MetricDisplay::kErrorPercent;
  // In the order of epochs; some, or all, may be missing: of a run without diagnostics, or one that has lost them.
  std::vector<diagnostics::Epoch> diagnostics;
  diagnostics::Latest latest;
};

// How the first metric of such a run is shown.
MetricDisplay DisplayOf(const checkpoint::Header& header);

// The record of the run in the folder. Errors: those of Checkpoint::Open() for its checkpoint.bgc, with what a run's
// folder is where there is none. Diagnostics that are missing or damaged are left out; `warnings`, where it is not
// null, gets a line for each damaged file.
absl::StatusOr<RunRecord> LoadRunRecord(const std::string& folder, std::vector<std::string>* warnings = nullptr);

// Reads the diagnostics of run.folder into `run`, whose header says which epochs there are. As LoadRunRecord(), it
// leaves out what is missing or damaged.
void LoadDiagnostics(RunRecord& run, std::vector<std::string>* warnings = nullptr);

// The files of diagnostics in a run's folder.
std::string DiagnosticsPath(const std::string& folder);  // diagnostics.jsonl
std::string LatestPath(const std::string& folder);       // latest.json

// Writes both files anew, each whole or not at all.
absl::Status WriteDiagnostics(const RunRecord& run);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_RUN_RECORD_H_
