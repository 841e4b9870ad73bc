// Golden vectors: what an interpreter has answered when a model was added to the zoo, zoo/NAME.logits. Inputs are
// drawn, so no image of a data set has to be stored.

#ifndef BITGRAD_ZOO_GOLDEN_H_
#define BITGRAD_ZOO_GOLDEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

inline constexpr int64_t kGoldenExamples = 8;

// The model's answers [kGoldenExamples, features] to
//
//   images of 28x28x1   the first test images of the built-in digits (data/digits.h)
//   other images        random pixels: byte j of image i is the highest of RandomWord({seed 1, kTest, stream i}, j)
//   characters, words   "The king", "the king ...": what it predicts behind each of the first tokens, read one by one
//
// FailedPrecondition for a model that takes none of these; else errors are the interpreter's.
absl::StatusOr<Tensor> GoldenLogits(const PackedModel& model, ExecContext& context);

// A line for each example: its logits as hexadecimal floats, which are exact, with spaces between them.
std::string LogitsText(const Tensor& logits);

// How far the logits of another machine may be from these. 0 where all products are sums of integers. Float products
// are summed in an order that depends on the machine: with K the most terms of a sum, each may move its value by K
// 2^-23 of its size, which is taken to be that of the logits, for each such layer. (It may also change the code of a
// value that lies as near to the next one, and the logits by more. Such inputs are no golden ones.)
double GoldenTolerance(const PackedModel& model, const Tensor& logits);

}  // namespace bitgrad

#endif  // BITGRAD_ZOO_GOLDEN_H_
