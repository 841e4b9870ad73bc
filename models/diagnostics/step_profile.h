// StepProfile: where the time of training steps goes, op by op.
//
//   BITGRAD_ASSIGN_OR_RETURN(const StepProfile profile,
//                            ProfileSteps(context, model, store, *task, loader, *optimizer, {.steps = 20}));
//   absl::PrintF("%s", ProfileTable(profile, /*rows=*/40));
//   BITGRAD_RETURN_IF_ERROR(WriteChromeTrace(profile, "step.json"));  // chrome_trace.h
//
// A step lasts from when its batch is asked for until its loss is known:
//
//   step = wait for the batch + spans of ops, forward and backward + update + measuring + what is not attributed
//
// in every single step. Not attributed is what TrainingStep does beside ops: the optimizer's checks before its update,
// the metrics, the copy of what the host learns of the step, and giving back the tape.
//
// Rates count the operations of graph/arithmetic.h, of all kinds alike: a one-bit multiply-accumulate is one operation,
// one of floats is two.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_STEP_PROFILE_H_
#define BITGRAD_MODELS_DIAGNOSTICS_STEP_PROFILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/models/diagnostics/profile_batches.h"
#include "bitgrad/models/diagnostics/step_timeline.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/task.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad {

struct ProfileOptions {
  int64_t steps = 20;   // that are measured, > 0
  int64_t warm_up = 3;  // that come before, while memory is found
};

// One step. Times are MonotonicSeconds().
struct ProfiledStep {
  double begin = 0, got_batch = 0, end = 0;
  std::vector<OpSpan> spans;  // the last one is the update
  double overhead = 0;        // seconds that the measuring took

  double seconds() const { return end - begin; }
  double seconds_of(diagnostics::Part::Phase phase) const;
  double not_attributed() const;
};

// What a kind of op of a layer takes of a step: medians over the steps.
struct ProfileRow {
  diagnostics::Part::Phase phase = diagnostics::Part::FORWARD;
  std::string layer, op;
  int64_t calls = 0;  // in a step
  double seconds = 0;
  int64_t held_bytes = 0;  // how much more of the pool was handed out after them than before
  int64_t operations = 0;
};

struct StepProfile {
  std::vector<ProfiledStep> steps;
  std::vector<PreparedBatch> prepared;  // the caller's, for the trace
  std::vector<ProfileRow> rows;         // by time, the longest first
  // Medians over the steps, of seconds.
  double step = 0, wait = 0, forward = 0, backward = 0, update = 0, overhead = 0, not_attributed = 0;
  int64_t peak_bytes = 0;  // of the pool, as `train` reports it
};

// Trains the model for some steps, with the optimizer's first learning rate, and measures them. Where an epoch of the
// loader ends, the next one goes on. Errors are those of the step and of the batches. REQUIRES: the context is of the
// CPU; the parameters are on it.
absl::StatusOr<StepProfile> ProfileSteps(ExecContext& context, Model& model, ParameterStore& store, const Task& task,
                                         const BatchLoader& loader, Optimizer& optimizer,
                                         const ProfileOptions& options = {});

// The rows as people read them, the `most` longest (0: all) one by one and the others as one; then what belongs to no
// op, and the time of a step, of which shares are. The median of steps is not the sum of the medians of their parts:
// what lies between is "irregular", the time that a step spends now here, now there, because other processes interrupt
// it. Of a quiet machine it is small, and it may be less than 0.
std::string ProfileTable(const StepProfile& profile, int64_t most);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_STEP_PROFILE_H_
