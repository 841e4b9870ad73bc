// A packed model evaluated one scalar after the other, with sums in double: slow and obvious.

#ifndef BITGRAD_TESTS_RUNTIME_REFERENCE_INTERPRETER_H_
#define BITGRAD_TESTS_RUNTIME_REFERENCE_INTERPRETER_H_

#include <vector>

#include "absl/types/span.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

struct ReferenceResult {
  std::vector<float> value;
  // How far a float GEMM, which rounds sums in another order, may be off. 0 for what is exact.
  std::vector<double> tolerance;
};

// Of one example.
ReferenceResult RunReference(const PackedModel& model, absl::Span<const float> example);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_RUNTIME_REFERENCE_INTERPRETER_H_
