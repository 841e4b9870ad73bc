#include "bitgrad/models/scheduled_scalar.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

// The share of the training that is done.
double Done(const TrainingTime& time, bool by_step, double until) {
  const int64_t batches = by_step ? time.batches : 1;
  const int64_t steps = time.epochs * batches;
  const int64_t step = time.epoch * batches + (by_step ? time.batch : 0);
  if (steps <= 1) return 0;
  const double last = until < 1 ? until * static_cast<double>(steps) : static_cast<double>(steps - 1);
  return std::clamp(static_cast<double>(step) / last, 0.0, 1.0);
}

}  // namespace

float ScalarSchedule::At(const TrainingTime& time) const {
  const double t = Done(time, by_step, until);
  switch (change) {
    case ScalarChange::kConstant: break;
    // Both ends are exact.
    case ScalarChange::kLinear: return static_cast<float>(t == 1 ? final : initial + (final - initial) * t);
    case ScalarChange::kExponential: return static_cast<float>(t == 1 ? final : initial * std::pow(final / initial, t));
  }
  return static_cast<float>(initial);
}

absl::Status ScalarSchedule::status() const {
  if (!std::isfinite(static_cast<float>(initial))) {
    return absl::InvalidArgumentError(absl::StrCat("initial is ", initial, "; it has to be a finite number"));
  }
  if (!(until > 0 && until <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("until is ", until, "; it has to be in (0, 1]"));
  }
  if (change == ScalarChange::kConstant) return absl::OkStatus();
  if (!std::isfinite(static_cast<float>(final))) {
    return absl::InvalidArgumentError(absl::StrCat("final is ", final, "; it has to be a finite number"));
  }
  if (change == ScalarChange::kLinear || initial * final > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a number cannot change from initial = ", initial, " to final = ",
                                                 final, " by a constant factor; take both above 0, or LINEAR"));
}

}  // namespace bitgrad
