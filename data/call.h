// Calls in recipes, "crop(4)", "flip", "jitter(0.4,0.4,0.4)": a name and numbers, read against a list of the known
// ones.

#ifndef BITGRAD_DATA_CALL_H_
#define BITGRAD_DATA_CALL_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace bitgrad {

struct CallForm {
  const char* name;
  std::vector<float> defaults;  // as many as there are arguments; "name" alone means these
  float least;                  // of every argument
  float most;
  bool whole;        // whole numbers only
  const char* help;  // one line
};

struct Call {
  int form = 0;                  // index in the list
  std::vector<float> arguments;  // as many as the form has
};

// InvalidArgument, with `what` ("augmentation"), the text, and what is known or allowed, for an unknown name, a wrong
// number of arguments, an argument that is no number or out of range, or bad brackets.
absl::StatusOr<Call> ParseCall(absl::string_view what, absl::string_view text, absl::Span<const CallForm> forms);

// A line per form, for --help.
std::string CallsHelp(absl::Span<const CallForm> forms);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_CALL_H_
