// The instructions without weights of their own: batch_norm, unary, binary, concat and reshape. They need no
// preparation.

#ifndef BITGRAD_RUNTIME_ELEMENTWISE_STEP_H_
#define BITGRAD_RUNTIME_ELEMENTWISE_STEP_H_

#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// Runs instruction `i`, which makes value i + 1 of the frame. REQUIRES: it is of one of these kinds, and the
// instructions that make its operands have run.
void RunElementwiseStep(const PackedModel& model, int i, Frame& frame);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_ELEMENTWISE_STEP_H_
