// Hyperparameters by name: how a recipe gives an optimizer the numbers that only it has.
//
//   BITGRAD_RETURN_IF_ERROR(ReadHyperparameters("adam", {{"beta1", 0.95}},
//                                               {{"beta1", &beta1}, {"beta2", &beta2}}));

#ifndef BITGRAD_OPTIM_HYPERPARAMETERS_H_
#define BITGRAD_OPTIM_HYPERPARAMETERS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace bitgrad {

using Hyperparameters = std::map<std::string, double>;

struct HyperparameterField {
  const char* name;
  double* value;
};

// Writes the values that are given; the other fields keep theirs. A name that is not a field's is
// an InvalidArgument that lists the fields: `momentum` given to Adam does not pass unnoticed.
absl::Status ReadHyperparameters(const char* optimizer, const Hyperparameters& values,
                                 absl::Span<const HyperparameterField> fields);

// InvalidArgument unless `value`, rounded to float, is in [0, 1).
absl::Status CheckFraction(const char* optimizer, const char* name, double value);

// InvalidArgument unless `value`, rounded to float, is positive and finite.
absl::Status CheckPositive(const char* optimizer, const char* name, double value);

// InvalidArgument unless `value`, rounded to float, is finite and not negative.
absl::Status CheckNotNegative(const char* optimizer, const char* name, double value);

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_HYPERPARAMETERS_H_
