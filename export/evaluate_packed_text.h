// What //models:evaluate does with a model of text and its packed model.

#ifndef BITGRAD_EXPORT_EVALUATE_PACKED_TEXT_H_
#define BITGRAD_EXPORT_EVALUATE_PACKED_TEXT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/text.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

struct TextComparison {
  int64_t tokens = 0;
  double graph_nats = 0, packed_nats = 0;  // per token
  int64_t disagreements = 0;               // time steps after which the two expect another token
  double max_logit_difference = 0;
};

// Reads the text by the graph and by the packed model, in the streams of the run's evaluations, and compares all their
// logits. Each carries its own states.
absl::StatusOr<TextComparison> CompareOnText(ExecContext& context, const Checkpoint& checkpoint,
                                             const PackedModel& packed, const Text& text);

// How far two logits are apart. Equal infinities, and two NaNs, are not; a NaN and a number are, infinitely.
double LogitDifference(float a, float b);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_EVALUATE_PACKED_TEXT_H_
