// How a training set gives up a part of its examples for validation, and what is wrong with a split.

#ifndef BITGRAD_DATA_VALIDATION_H_
#define BITGRAD_DATA_VALIDATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"

namespace bitgrad {

struct TrainValidation {
  ExampleRange train;
  ExampleRange validation;
};

// The last `validation_count` examples validate, the others train: the split of BinaryConnect's and BinaryNet's MNIST
// experiments (last 10,000 of 60,000). A count of 0 leaves the validation range empty. InvalidArgument when the count
// is negative or leaves nothing to train on.
absl::StatusOr<TrainValidation> SplitLast(const Dataset& dataset, int64_t validation_count);

// Every class gives up the same share of its examples, spread evenly over the data set, whatever the order in which the
// file has them: with the n examples sorted by label (and then by place), example number p validates where
//
//   floor((p + 1) * validation_count / n) > floor(p * validation_count / n)
//
// which holds validation_count times. The data set's examples get another order, so that those that validate come last;
// within the two parts their order stays. Memory for a second copy of images is needed meanwhile (not where they are
// decoded when needed). Errors are SplitLast's; then the data set is unchanged.
absl::StatusOr<TrainValidation> SplitSpread(int64_t validation_count, Dataset& dataset);

// InvalidArgument where all training examples are of one class: a net that always answers with this class is right, so
// an error of 0 % would say nothing.
absl::Status CheckTrainingClasses(const Dataset& train, const ExampleRange& range);

// What makes the figures of a run say less than they seem to, a sentence each: validation or test examples of one class
// only; a class of the training examples that validation misses although ten or more of its examples were to be
// expected there, or that only validation has: what the end of a sorted data set is like. Names classes, the first few
// of many.
std::vector<std::string> SplitWarnings(const Dataset& train, const TrainValidation& parts, const Dataset& test);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_VALIDATION_H_
