// The steps of programs of fixed-point codes: products with a requantize, shift_add, shift_concat, average_pool with a
// requantize, and fixed_point.

#ifndef BITGRAD_RUNTIME_SHIFT_STEP_H_
#define BITGRAD_RUNTIME_SHIFT_STEP_H_

#include <memory>

#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/step.h"

namespace bitgrad {

// The step of instruction i, or null where it is none of these. The model and the frame outlive the step.
std::unique_ptr<Step> NewShiftStep(const PackedModel& model, int i, Frame& frame);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_SHIFT_STEP_H_
