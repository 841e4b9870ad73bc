// RunObserver: somebody who watches a run and shows what he sees: a report, TensorBoard's files, warnings.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_RUN_OBSERVER_H_
#define BITGRAD_MODELS_DIAGNOSTICS_RUN_OBSERVER_H_

#include <cstdio>

#include "absl/status/status.h"
#include "bitgrad/models/diagnostics/run_record.h"

namespace bitgrad {

class RunObserver {
 public:
  virtual ~RunObserver() = default;

  // What it does, for people: "the report".
  virtual const char* name() const = 0;
  // Before the first step. The record of a resumed run has its complete epochs, that of a new one has none.
  virtual absl::Status Begin(const RunRecord& /*run*/, std::FILE* /*log*/) { return absl::OkStatus(); }
  // After an epoch, when its checkpoint is written and its line is printed. An error is said in a warning, and training
  // goes on; the next epoch comes all the same.
  virtual absl::Status EpochFinished(const RunRecord& run, std::FILE* log) = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_RUN_OBSERVER_H_
