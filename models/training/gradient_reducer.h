// GradientReducer: what happens to gradients between the backward pass and the update. On one machine that is nothing.
// Where several machines train one model, each on batches of its own, it is the place of an all-reduce.

#ifndef BITGRAD_MODELS_TRAINING_GRADIENT_REDUCER_H_
#define BITGRAD_MODELS_TRAINING_GRADIENT_REDUCER_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/parameter.h"

namespace bitgrad {

class GradientReducer {
 public:
  virtual ~GradientReducer() = default;

  // Replaces the gradient of each parameter that has one by what the update is to use. On a GPU it enqueues work on the
  // context's stream, in the order of the parameters, and may neither wait for it nor copy to or from the host: a step
  // is recorded once and enqueued many times (core/recorded_work.h). Writes through Parameter::gradient's tensors, or
  // puts others in their places. Gradients keep shape, type and device.
  virtual absl::Status Reduce(ExecContext& context, absl::Span<Parameter* const> parameters) = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_GRADIENT_REDUCER_H_
