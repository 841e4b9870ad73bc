// The rules that a packed model's header must keep: what makes its program meaningful, and safe to
// run.
//
// After CheckProgram every id is in range, every shape fits, every quantizer is known, sizes are
// bounded and numbers are finite: neither the interpreter nor `inspect` checks again. The rules, as
// text: docs/packed_model_format.md, section "Rules of the program".

#ifndef BITGRAD_RUNTIME_CHECK_PROGRAM_H_
#define BITGRAD_RUNTIME_CHECK_PROGRAM_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

// Elements of a value per example; also a limit of the packed GEMM's K (its sums stay exact in
// float).
inline constexpr int64_t kMaxFeatures = (int64_t{1} << 24) - 1;
// Memory of all values of one example: what no real net needs and no machine lacks.
inline constexpr int64_t kMaxExampleBytes = int64_t{256} << 20;

// What the checker found out about a value.
struct PackedValue {
  Shape example;  // without the batch
  bool is_bits =
      false;  // {-1, +1} as packed bits, of a linear or conv2d with a threshold, or a max_pool of such; else float
  // Bits: whether a row holds an example (of conv2d and max_pool), not what lies along the last dimension (of linear).
  bool rows_are_examples = false;
  int64_t features() const { return example.num_elements(); }
};

struct CheckedProgram {
  std::vector<PackedValue> values;    // value 0 is the input, value i + 1 that of instruction i
  std::vector<Quantizer> quantizers;  // per instruction; identity where it has none
};

// Errors name the instruction or blob and the field, not the file.
absl::StatusOr<CheckedProgram> CheckProgram(const packed::Header& header);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_CHECK_PROGRAM_H_
