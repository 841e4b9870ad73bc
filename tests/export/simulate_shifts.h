// What a packed model of fixed-point codes has to compute, by the formulas of docs/packed_model_format.md in doubles:
// multiplications with powers of two and floor(v + 1/2) in place of shifts, one image and one sum at a time. It shares
// no code with the runtime but the reader of the file.

#ifndef BITGRAD_TESTS_EXPORT_SIMULATE_SHIFTS_H_
#define BITGRAD_TESTS_EXPORT_SIMULATE_SHIFTS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// The result for one image of pixels, as floats.
std::vector<float> SimulateShifts(const PackedModel& model, absl::Span<const uint8_t> pixels);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_EXPORT_SIMULATE_SHIFTS_H_
