// RunSweep: trains the trials of a sweep, with `train` processes.

#ifndef BITGRAD_SWEEP_RUN_SWEEP_H_
#define BITGRAD_SWEEP_RUN_SWEEP_H_

#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/sweep/plan.h"
#include "bitgrad/sweep/sweep_folder.h"

namespace bitgrad {

struct SweepOptions {
  std::string train;           // the file of the program
  int processes = 1;           // at a time
  std::string resume_command;  // that an interrupted sweep names
  std::FILE* log = stdout;
};

struct SweepResult {
  std::vector<std::string> runs;  // the folders of the trials that have done all that was asked of them, in order
  int failed = 0;                 // how many trials have not
};

// Runs what is missing: a trial that has its epochs stays as it is, one that has some goes on (train --resume). So a
// sweep that was interrupted at any moment ends as if it had not been. A trial whose process fails is said with the
// last lines of its log, and the others go on; a resumed sweep tries it again.
//
// SIGINT, SIGTERM and SIGHUP stop all processes, which save their state; Cancelled then, with the command that
// continues. FailedPrecondition where processes of an earlier sweep still run in the folder.
absl::StatusOr<SweepResult> RunSweep(const SweepFolder& folder, absl::Span<const Trial> trials,
                                     const SweepOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_SWEEP_RUN_SWEEP_H_
