// Checks the rules that the header of a packed model must obey for its program to be meaningful and safe to run.
//
// After CheckProgram() every id is in range, shapes are consistent, every quantizer is known, sizes are bounded and
// numbers are finite. Neither the interpreter nor `inspect` checks again. docs/packed_model_format.md lists the rules
// in its section "Rules of the program".

#ifndef BITGRAD_RUNTIME_CHECK_PROGRAM_H_
#define BITGRAD_RUNTIME_CHECK_PROGRAM_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {

// The most elements that a value may have per example. The inner dimension of a packed GEMM obeys it too, which keeps
// its sums exact in float.
inline constexpr int64_t kMaxFeatures = (int64_t{1} << 24) - 1;
// The most memory that all values of one example may take, those of all its time steps together, where floats take 4
// bytes and codes one. No real net needs as much, and every machine has it. Of time steps only one is in memory at a
// time: there the limit bounds how often the program runs.
inline constexpr int64_t kMaxExampleBytes = int64_t{256} << 20;

// What is known about a value after the check.
struct PackedValue {
  Shape example;           // without the batch
  Encoding encoding;       // of its codes; kFloat where it is floats
  float scale = 1;         // the float value of a code is code * scale
  bool is_tokens = false;  // integers; only the input of a model of tokens is
  bool is_coded() const { return encoding.is_integer(); }
  bool is_bits() const { return encoding.kind == EncodingKind::kBinary; }
  int64_t features() const { return example.num_elements(); }
};

struct CheckedProgram {
  std::vector<PackedValue> values;          // value 0 is the input, value i + 1 that of instruction i
  std::vector<PackedQuantizer> quantizers;  // per instruction; of use for quantize
  std::vector<int64_t> runs;                // how often each instruction runs for an example
};

// Errors name the instruction or blob and the field, not the file.
absl::StatusOr<CheckedProgram> CheckProgram(const packed::Header& header);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_CHECK_PROGRAM_H_
