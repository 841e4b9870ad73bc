// Whether the trials of a sweep can be trained, before any of them is.

#ifndef BITGRAD_SWEEP_CHECK_TRIALS_H_
#define BITGRAD_SWEEP_CHECK_TRIALS_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bitgrad/models/training/training_data.h"
#include "bitgrad/proto/sweep.pb.h"
#include "bitgrad/sweep/plan.h"

namespace bitgrad {

// Checks what `train` would refuse before it trains (models/training/check_recipe.h), and that halving is possible:
// something validates, and phases stay what they are when a run goes on with more epochs. The data is read; once, where
// trials do not differ in it. The error names the trial and what it tries.
absl::Status CheckTrials(const sweep::Sweep& sweep, absl::Span<const Trial> trials, const TrainingDataOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_SWEEP_CHECK_TRIALS_H_
