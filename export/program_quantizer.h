// The quantizers of a program with the numbers that they have learned.

#ifndef BITGRAD_EXPORT_PROGRAM_QUANTIZER_H_
#define BITGRAD_EXPORT_PROGRAM_QUANTIZER_H_

#include "absl/status/statusor.h"
#include "bitgrad/export/program.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {

// The quantizer of value i, with its numbers. Unimplemented, naming the layer, where it is none that a packed model can
// run: one of random numbers, or whose numbers depend on the batch. REQUIRES: value i is a Quantize.
absl::StatusOr<PackedQuantizer> QuantizerOf(const program::Program& program, int i);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_PROGRAM_QUANTIZER_H_
