// The instructions without weights of their own: batch_norm, unary, spline, round, binary, concat, reshape,
// slice_columns and state. Little is prepared: the numbers and blobs that they name are looked up once, because in a
// model of tokens one run of them takes no longer than looking up does.

#ifndef BITGRAD_RUNTIME_ELEMENTWISE_STEP_H_
#define BITGRAD_RUNTIME_ELEMENTWISE_STEP_H_

#include <memory>

#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/step.h"

namespace bitgrad {

// Instruction `i`, which makes value i + 1 of the frame. REQUIRES: it is of one of these kinds; the model and the frame
// outlive the step.
std::unique_ptr<Step> NewElementwiseStep(const PackedModel& model, int i, Frame& frame);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_ELEMENTWISE_STEP_H_
