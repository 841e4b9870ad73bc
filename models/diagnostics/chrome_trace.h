// A profile of training steps as a trace that chrome://tracing and Perfetto (https://ui.perfetto.dev) show: JSON with
// "traceEvents", in the format of complete events ("ph": "X") with times in microseconds.
//
// Thread 1 is the one that trains: each step is an event, with the wait for its batch, the forward pass, the backward
// pass and the update within it, and the ops within those, with their layer, node of the tape, operations and bytes as
// arguments. Threads 2, 3, ... prepare batches. A counter has the live bytes of the context's pool. Threads on which a
// kernel runs beside the one that trains do not appear: an op lasts until all of them are done.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_CHROME_TRACE_H_
#define BITGRAD_MODELS_DIAGNOSTICS_CHROME_TRACE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "bitgrad/models/diagnostics/step_profile.h"

namespace bitgrad {

// The trace, of which `title` is the name of the process. REQUIRES: profile.steps is not empty.
std::string ChromeTrace(const StepProfile& profile, absl::string_view title);

// Writes it to a file. Errors are those of AtomicFile (core/atomic_file.h).
absl::Status WriteChromeTrace(const StepProfile& profile, absl::string_view title, const std::string& path);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_CHROME_TRACE_H_
