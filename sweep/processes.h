// RunProcesses: commands that run side by side, as many at a time as asked.
//
//   const std::vector<ProcessResult> results = RunProcesses(
//       jobs, /*at_once=*/2, InterruptGuard::interrupted, [](size_t job, const ProcessResult& result) { ... });

#ifndef BITGRAD_SWEEP_PROCESSES_H_
#define BITGRAD_SWEEP_PROCESSES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"

namespace bitgrad {

struct ProcessJob {
  std::vector<std::string> command;  // the program's file, and its arguments
  std::string log;                   // the file to whose end its output goes, stdout and stderr alike
};

struct ProcessResult {
  enum class Kind {
    kNotRun,  // it was not started, or was stopped
    kDone,    // exit status 0
    kFailed,  // anything else
  };
  Kind kind = Kind::kNotRun;
  std::string how;  // of kFailed, how it ended: "exit status 1", "signal 9, Killed", "cannot be started: ..."
};

// Runs the jobs in their order, `at_once` at a time; `ended` is called when one has ended. When `stop` says so, no
// further one is started, and those that run get a SIGTERM, once, and time to end. Each is a process group of its own,
// so that Ctrl-C in a terminal reaches this process alone; where this process dies they get a SIGTERM, too. REQUIRES:
// it is called by the main thread, which the kernel takes for the parent.
std::vector<ProcessResult> RunProcesses(absl::Span<const ProcessJob> jobs, int at_once, absl::FunctionRef<bool()> stop,
                                        absl::FunctionRef<void(size_t job, const ProcessResult& result)> ended);

}  // namespace bitgrad

#endif  // BITGRAD_SWEEP_PROCESSES_H_
