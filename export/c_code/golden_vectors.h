// Golden vectors: a few inputs and what the interpreter makes of them, with which exported C code tests itself.

#ifndef BITGRAD_EXPORT_C_CODE_GOLDEN_VECTORS_H_
#define BITGRAD_EXPORT_C_CODE_GOLDEN_VECTORS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

struct GoldenVectors {
  Tensor pixels;   // [count, features] uint8, or
  Tensor floats;   // [count, features], or
  Tensor tokens;   // [count] int32: one text, from its first token on
  Tensor results;  // [count, outputs] float32
  int64_t count = 0;
  // The largest difference that the C code may have (error_bound.h): as long as no code changes, and at all. 0: none.
  double tolerance = 0, widest = 0;
  bool is_exact() const { return widest == 0; }
};

// 8 of them, fewer where examples are large, 16 tokens. Pixels are random, for images of 28 x 28 half of them drawn
// digits. The same for the same model and seed.
absl::StatusOr<GoldenVectors> MakeGoldenVectors(const PackedModel& model, ExecContext& context, uint64_t seed);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_GOLDEN_VECTORS_H_
