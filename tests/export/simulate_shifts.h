// What a packed model of fixed-point codes has to compute, by the formulas of docs/packed_model_format.md in doubles:
// multiplications with powers of two and floor(v + 1/2) in place of shifts, one image and one sum at a time. It shares
// no code with the runtime but the reader of the file.

#ifndef BITGRAD_TESTS_EXPORT_SIMULATE_SHIFTS_H_
#define BITGRAD_TESTS_EXPORT_SIMULATE_SHIFTS_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/view.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// The results for images of pixels, one after the other.
std::vector<float> SimulateShifts(const PackedModel& model, ConstMatrixView<uint8_t> images);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_EXPORT_SIMULATE_SHIFTS_H_
