// Packed programs of format version 1, which bitgrad 0.1 and 0.2 wrote.
//
// There, a linear or conv2d named the quantizer of its operand, `quantize` made floats, and thresholds made bits only.
// This file is the one place that knows it: readers see programs of version 2.

#ifndef BITGRAD_RUNTIME_VERSION_1_H_
#define BITGRAD_RUNTIME_VERSION_1_H_

#include "absl/status/statusor.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

// The program of version 2 that computes the same from the same blobs. It is as valid as the old one: what was wrong in
// `header`, CheckProgram() finds in the result. An error where the header uses what version 1 does not have.
absl::StatusOr<packed::Header> UpgradeFromVersion1(const packed::Header& header);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_VERSION_1_H_
