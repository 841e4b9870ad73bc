// Text as XML, of which the pages and the figures of a report are made. All that comes from outside passes Escaped():
// recipes, names of classes and layers, texts of a data set, paths.

#ifndef BITGRAD_REPORT_MARKUP_H_
#define BITGRAD_REPORT_MARKUP_H_

#include <string>

#include "absl/strings/string_view.h"

namespace bitgrad::report {

// The text for an element's content or for the value of an attribute in double quotes. What XML has no character for,
// control characters and bytes that are no UTF-8, becomes U+FFFD, so a strict parser reads it.
std::string Escaped(absl::string_view text);

// The text itself or, where it has more than `most` characters, its first most - 1 and an ellipsis. REQUIRES: most > 0.
std::string Shortened(absl::string_view text, size_t most);

// How many characters (code points) the text has.
size_t CharactersOf(absl::string_view text);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_MARKUP_H_
