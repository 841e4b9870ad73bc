// ShellQuoted: an argument as a shell reads it back, for commands that are printed to be copied.

#ifndef BITGRAD_CORE_SHELL_QUOTE_H_
#define BITGRAD_CORE_SHELL_QUOTE_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

// The text itself where no shell reads anything into it, else the text in single quotes: "my run" -> "'my run'".
inline std::string ShellQuoted(absl::string_view text) {
  constexpr absl::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == absl::string_view::npos) return std::string(text);
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

}  // namespace bitgrad

#endif  // BITGRAD_CORE_SHELL_QUOTE_H_
