// StepObserver: looks at single steps of gradient descent from within: the tape while it records and runs backward, the
// gradients before the update, the weights after it.

#ifndef BITGRAD_MODELS_TRAINING_STEP_OBSERVER_H_
#define BITGRAD_MODELS_TRAINING_STEP_OBSERVER_H_

#include "absl/types/span.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/tape.h"

namespace bitgrad {

// It is told of every step that runs op by op: on the CPU of all of them, on a GPU of those before a step is recorded
// as a whole. It changes nothing, and reads what it needs within the call. The calls of a step come in this order;
// where a step ends with an error, the later ones do not come.
class StepObserver {
 public:
  virtual ~StepObserver() = default;

  // Before anything is recorded.
  virtual void Begin(Tape& tape) = 0;
  // After the backward pass: parameters have their gradients, and the values of before the update.
  virtual void BeforeUpdate(absl::Span<Parameter* const> parameters) = 0;
  // The update of the weights has run. Gradients are gone.
  virtual void AfterUpdate(absl::Span<Parameter* const> parameters) = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_STEP_OBSERVER_H_
