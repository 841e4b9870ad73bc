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
#include "bitgrad/core/shape.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

// The most elements that a value may have per example. The inner dimension of a packed GEMM obeys it too, which keeps
// its sums exact in float.
inline constexpr int64_t kMaxFeatures = (int64_t{1} << 24) - 1;
// The most memory that all values of one example may take as floats. No real net needs as much, and every machine has
// it.
inline constexpr int64_t kMaxExampleBytes = int64_t{256} << 20;

// What is known about a value after the check.
struct PackedValue {
  Shape example;  // without the batch
  // Whether the value is packed bits for -1 and +1, as a linear or conv2d with a threshold and a max_pool of bits make
  // them. Otherwise it is floats.
  bool is_bits = false;
  // For bits: whether a row of the bit matrix holds a whole example, as conv2d and max_pool write them, and not the
  // elements along the last dimension, as linear does.
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
