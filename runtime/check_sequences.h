// The rules of CheckProgram() for models of tokens and of time steps, for what they carry from one time step to the
// next, and for vocabularies. Internal to runtime/check_program.h.

#ifndef BITGRAD_RUNTIME_CHECK_SEQUENCES_H_
#define BITGRAD_RUNTIME_CHECK_SEQUENCES_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/check_program.h"

namespace bitgrad {

// That an input of tokens is one, without pixels and time steps.
absl::Status CheckInputOfTokens(const packed::Input& input);
// That an example of time steps is not too large, and that something is carried from one of them to the next.
absl::Status CheckTimeSteps(const packed::Header& header);

// The values of the instructions. `table`: the blob, whose descriptor has been checked; x: the operand.
absl::StatusOr<PackedValue> CheckEmbedding(const packed::Header& header, const packed::Embedding& embedding,
                                           const packed::Blob& table, const PackedValue& x);
absl::StatusOr<PackedValue> CheckSliceColumns(const packed::SliceColumns& slice, const PackedValue& x);
absl::StatusOr<PackedValue> CheckState(const packed::Header& header, const packed::State& state);

// The slots of the states, before and after the instructions have been checked.
absl::Status CheckStateSlots(const packed::Header& header);
absl::Status CheckNextValues(const packed::Header& header, const std::vector<PackedValue>& values);

// How often each instruction runs for an example: once for each time step (input.time_steps) where a state depends on
// it, and once where only the result does, for that is of the last time step. REQUIRES: the rules above.
std::vector<int64_t> RunsOfInstructions(const packed::Header& header);

// Text and class_names of a model that reads text. REQUIRES: class_count is that of the result's features.
absl::Status CheckVocabulary(const packed::Header& header);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_CHECK_SEQUENCES_H_
