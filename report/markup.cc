#include "bitgrad/report/markup.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "bitgrad/data/vocabulary.h"

namespace bitgrad::report {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr absl::string_view kEllipsis = "\xE2\x80\xA6";

// The length in bytes of what the text begins with: a character, or a byte that is none.
size_t NextLength(absl::string_view text) { return static_cast<size_t>(std::max(1, Utf8Length(text))); }

// Whether XML 1.0 has the character.
bool IsXml(absl::string_view character) {
  if (Utf8Length(character) == 0) return false;
  const auto first = static_cast<unsigned char>(character[0]);
  if (first < 0x20) return first == '\t' || first == '\n' || first == '\r';
  return character != "\xEF\xBF\xBE" && character != "\xEF\xBF\xBF";  // U+FFFE, U+FFFF
}

}  // namespace

std::string Escaped(absl::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  while (!text.empty()) {
    const absl::string_view next = text.substr(0, NextLength(text));
    text.remove_prefix(next.size());
    if (next == "&") {
      escaped += "&amp;";
    } else if (next == "<") {
      escaped += "&lt;";
    } else if (next == ">") {
      escaped += "&gt;";
    } else if (next == "\"") {
      escaped += "&quot;";
    } else {
      absl::StrAppend(&escaped, IsXml(next) ? next : kReplacement);
    }
  }
  return escaped;
}

size_t CharactersOf(absl::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(NextLength(text));
  return count;
}

std::string Shortened(absl::string_view text, size_t most) {
  if (CharactersOf(text) <= most) return std::string(text);
  size_t bytes = 0;
  for (size_t i = 0; i + 1 < most; ++i) bytes += NextLength(text.substr(bytes));
  return absl::StrCat(text.substr(0, bytes), kEllipsis);
}

}  // namespace bitgrad::report
