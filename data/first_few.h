// FirstFew: a list in a message, cut short where it is long.

#ifndef BITGRAD_DATA_FIRST_FEW_H_
#define BITGRAD_DATA_FIRST_FEW_H_

#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"

namespace bitgrad {

// "1 class (cat)", "12 classes (ant, bee, cat, ...)": the count, the word for one or for several, and the first `most`
// items.
inline std::string FirstFew(absl::Span<const std::string> items, const char* one, const char* several,
                            size_t most = 5) {
  return absl::StrCat(items.size(), " ", items.size() == 1 ? one : several, " (",
                      absl::StrJoin(items.first(std::min(most, items.size())), ", "),
                      items.size() > most ? ", ..." : "", ")");
}

}  // namespace bitgrad

#endif  // BITGRAD_DATA_FIRST_FEW_H_
