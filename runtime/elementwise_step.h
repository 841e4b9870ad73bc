// The instructions that move or change values one by one: all kinds but linear. They have no state.

#ifndef BITGRAD_RUNTIME_ELEMENTWISE_STEP_H_
#define BITGRAD_RUNTIME_ELEMENTWISE_STEP_H_

#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// Makes value i + 1 of the frame. REQUIRES: instruction `i` is not linear; its operands are made.
void RunElementwiseStep(const PackedModel& model, int i, Frame& frame);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_ELEMENTWISE_STEP_H_
