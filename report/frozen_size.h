// How large a trained model is once it is frozen.

#ifndef BITGRAD_REPORT_FROZEN_SIZE_H_
#define BITGRAD_REPORT_FROZEN_SIZE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "bitgrad/models/training/checkpoint.h"

namespace bitgrad {

struct FrozenSize {
  int64_t bytes = 0;  // of the packed model's file
  double bits = 0;    // of one of its numbers, on average: weights have their bits, all other numbers 32
};

// Of the model in this checkpoint. It is frozen in memory; nothing is written. Errors are those of FreezeCheckpoint(),
// of a net without a packed form for one.
absl::StatusOr<FrozenSize> FrozenSizeOf(const Checkpoint& checkpoint);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_FROZEN_SIZE_H_
