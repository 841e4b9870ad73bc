// The preprocessing that recipes can name: "mean_std", "gcn", "zca(0.1)".
//
// To add a step: a pair of files like standardization.h/.cc, one form and one case in preprocessings.cc.

#ifndef BITGRAD_DATA_PREPROCESSINGS_H_
#define BITGRAD_DATA_PREPROCESSINGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/preprocessing.h"

namespace bitgrad {

// The steps in the order of `texts`, not fitted yet. InvalidArgument for what ParseCall (call.h) refuses.
absl::StatusOr<Preprocessing> ParsePreprocessing(absl::Span<const std::string> texts);

// A line per step, for --help.
std::string PreprocessingHelp();

}  // namespace bitgrad

#endif  // BITGRAD_DATA_PREPROCESSINGS_H_
