// How long a packed model takes: the time of single runs, of which percentiles are read, at a given load.
//
//   BITGRAD_ASSIGN_OR_RETURN(const Latencies found, MeasureLatency(*model, {.load = 2}));
//   Percentile(found.warm, 99);  // seconds
//
// The load is a number of threads that run side by side without a pause, each with an interpreter of its own. Warm runs
// follow each other: the model is in the caches as far as it fits. Cold runs come behind a walk over more memory than
// the last cache holds, by one interpreter alone: what the first request after a while takes.

#ifndef BITGRAD_RUNTIME_LATENCY_H_
#define BITGRAD_RUNTIME_LATENCY_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// The p-th percentile by nearest rank: the smallest sample that is not below p percent of them, so that it is one that
// was measured. REQUIRES: sorted is ascending and not empty; 0 < p <= 100.
double Percentile(absl::Span<const double> sorted, double p);

// The cores on which load thread i computes, of those that the process may use: `threads` of them behind those of
// thread i - 1, and from the beginning again where there are no more. Each once. REQUIRES: allowed is not empty.
std::vector<int> CoresOf(absl::Span<const int> allowed, int i, int threads);

// The most memory that the process has had in use so far (VmHWM of /proc/self/status); 0 where that cannot be read.
int64_t PeakResidentBytes();

struct LatencyOptions {
  int threads = 1;     // of each interpreter, at least 1
  int load = 1;        // interpreters that run side by side, at least 1
  int64_t batch = 1;   // images of a run; of a model of tokens, streams
  double seconds = 2;  // for how long warm runs are recorded, and cold ones again
  int warm_up = 20;    // runs of each interpreter that are not recorded
};

struct Latencies {
  // Seconds of every recorded run, ascending; at least one of each.
  std::vector<double> warm, cold;
  // From the beginning of the first recorded warm run to the end of the last one.
  double warm_seconds = 0;
  // Behind the warm-up, so without what the measuring itself takes.
  int64_t peak_resident_bytes = 0;
  int cores = 0;             // that the process may use
  bool is_pinned = false;    // whether threads were kept on their cores
  int64_t walked_bytes = 0;  // before each cold run
};

// Runs the model on random inputs: pixels where it takes them, else floats; of a model of tokens a run is a time step.
// Errors are the interpreter's, and ResourceExhausted where the threads cannot be started.
// REQUIRES: load * threads <= ExecContext::kMaxThreads.
absl::StatusOr<Latencies> MeasureLatency(const PackedModel& model, const LatencyOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_LATENCY_H_
