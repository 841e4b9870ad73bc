// A text as JSON has it.

#ifndef BITGRAD_CORE_JSON_QUOTED_H_
#define BITGRAD_CORE_JSON_QUOTED_H_

#include <string>

#include "absl/strings/string_view.h"

namespace bitgrad {

// The text in quotes, with what JSON does not take as it is escaped. Beyond ASCII bytes stay as they are: UTF-8 is
// valid JSON.
std::string JsonQuoted(absl::string_view text);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_JSON_QUOTED_H_
