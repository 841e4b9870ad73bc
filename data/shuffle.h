// The order in which an epoch visits the training examples.

#ifndef BITGRAD_DATA_SHUFFLE_H_
#define BITGRAD_DATA_SHUFFLE_H_

#include <cstdint>
#include <vector>

#include "bitgrad/data/dataset.h"

namespace bitgrad {

// A permutation of range.begin .. range.end - 1 by Fisher and Yates' method. A pure function of its
// arguments, so a resumed run sees the examples in the order in which it would have without a
// break.
std::vector<int64_t> ShuffledOrder(const ExampleRange& range, uint64_t seed, int64_t epoch);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_SHUFFLE_H_
