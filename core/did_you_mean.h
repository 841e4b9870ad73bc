// DidYouMean: what somebody may have meant who wrote a word that does not exist.
//
//   absl::StrCat("unknown quantizer '", name, "'", DidYouMean(name, names), "; known: ", absl::StrJoin(names, ", "))
//   // unknown quantizer 'sing' (did you mean 'sign'?); known: identity, sign, ...

#ifndef BITGRAD_CORE_DID_YOU_MEAN_H_
#define BITGRAD_CORE_DID_YOU_MEAN_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace bitgrad {

// The smallest number of single-letter mistakes that turn `a` into `b`: a letter too many, a letter missing, a wrong
// letter, or two neighbours in the wrong order (optimal string alignment distance). Upper and lower case are the same.
int EditDistance(absl::string_view a, absl::string_view b);

// The known word with the fewest mistakes, the first of several; empty where none is near, which means that a third of
// the longer word's letters or more would be wrong.
std::string NearestWord(absl::string_view word, absl::Span<const std::string> known);

// " (did you mean 'NEAREST'?)", or "" where no known word is near.
std::string DidYouMean(absl::string_view word, absl::Span<const std::string> known);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_DID_YOU_MEAN_H_
