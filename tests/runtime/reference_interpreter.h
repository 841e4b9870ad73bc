// A packed model evaluated one scalar after the other, with sums in double: slow and obvious. It computes what
// docs/packed_model_format.md says, from the file's header and blobs alone.

#ifndef BITGRAD_TESTS_RUNTIME_REFERENCE_INTERPRETER_H_
#define BITGRAD_TESTS_RUNTIME_REFERENCE_INTERPRETER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

struct ReferenceResult {
  std::vector<float> value;
  // How far a float GEMM, which rounds sums in another order, may be off. 0 for what is exact.
  std::vector<double> tolerance;
};

// The result for one example, of all its time steps where it has several. Unimplemented, naming the instruction, where
// it does not know what an instruction or a blob means: a test must not compare with an answer that leaves something
// out.
absl::StatusOr<ReferenceResult> RunReference(const PackedModel& model, absl::Span<const float> example);

// One time step of one stream of a model of tokens. `states`: of each slot what the time step before has left, replaced
// by what this one leaves; empty: zeros.
absl::StatusOr<ReferenceResult> RunReferenceStep(const PackedModel& model, int token,
                                                 std::vector<std::vector<float>>& states);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_RUNTIME_REFERENCE_INTERPRETER_H_
