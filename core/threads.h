// Whether threads can be started: limits of processes (ulimit -u), of a control group's pids, or of memory for stacks
// may forbid it, and OpenMP and oneDNN end the process where they cannot.

#ifndef BITGRAD_CORE_THREADS_H_
#define BITGRAD_CORE_THREADS_H_

#include "absl/status/status.h"

namespace bitgrad {

// Starts `count` threads that do nothing, all at once, and ends them: 20 microseconds each. ResourceExhausted, with how
// many could be started, where not all can.
absl::Status CheckThreads(int count);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_THREADS_H_
