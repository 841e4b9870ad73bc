// ScalarSchedule: how a number changes in the course of training: the weight of a penalty, a temperature, the steepness
// of a surrogate. A recipe sets it (proto/recipe.proto, ScheduledScalar), a model makes it (Scope::NewScalar), and
// whoever trains the model sets its value before each step (ParameterStore::SetScalars).
//
// The number itself is a parameter of shape [] that is not trainable. So it lies in the memory of the device, where
// a step that was recorded once finds each new value, a checkpoint keeps it with the model, and Tape::Use() gives it to
// ops as an operand without a gradient:
//
//   lambda_(scope.NewScalar("lambda", schedule))                       in the constructor
//   Mul(tape.Use(lambda_), Sum(...))                                   in Model::Penalty()
//
// Training of E epochs of B batches; at batch b = 0 .. B-1 of epoch e = 0 .. E-1, with the numbers v0 (initial) and v1
// (final):
//
//   t = e / (E - 1)                    by epoch; the last epoch has t = 1, an only one has t = 0
//   t = (e B + b) / (E B - 1)          by step; the last step has t = 1
//
// With `until` = u < 1 the number is at v1 after the share u of the training: t = min(1, e / (u E)), or min(1, (e B +
// b) / (u E B)).
//
//   constant      v0
//   linear        v0 + (v1 - v0) t
//   exponential   v0 (v1 / v0)^t       v0 and v1 are of one sign and not 0
//
// It is a function of the time alone, so that a resumed run goes on with the same numbers.

#ifndef BITGRAD_MODELS_SCHEDULED_SCALAR_H_
#define BITGRAD_MODELS_SCHEDULED_SCALAR_H_

#include <cstdint>

#include "absl/status/status.h"

namespace bitgrad {

// Where training stands: before batch `batch` of `batches` in epoch `epoch` of `epochs`, counted from 0.
struct TrainingTime {
  int64_t epoch = 0;
  int64_t epochs = 1;
  int64_t batch = 0;
  int64_t batches = 1;
};

enum class ScalarChange { kConstant, kLinear, kExponential };

struct ScalarSchedule {
  double initial = 0;
  double final = 0;  // kConstant does not read it
  ScalarChange change = ScalarChange::kConstant;
  bool by_step = false;  // else by epoch
  double until = 1;      // u, in (0, 1]

  // The number at this time, rounded to float. REQUIRES: status().ok(). A time outside of the training counts as its
  // nearer end.
  float At(const TrainingTime& time) const;
  // InvalidArgument, naming the number, where one that is read is not finite as a float, or cannot be reached by a
  // constant factor.
  absl::Status status() const;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_SCHEDULED_SCALAR_H_
