#include "bitgrad/export/c_code/c_text.h"

#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitgrad {
namespace {

constexpr size_t kLine = 120;

// "static const TYPE NAME[COUNT] = {...};", filled up to 120 columns.
template <typename T, typename Format>
std::string ArrayText(absl::string_view type, absl::string_view name, absl::Span<const T> values,
                      const Format& format) {
  std::string text = absl::StrCat("static const ", type, " ", name, "[", values.size(), "] = {\n");
  std::string line;
  for (const T value : values) {
    const std::string number = absl::StrCat(format(value), ",");
    if (line.size() + 1 + number.size() > kLine) {
      absl::StrAppend(&text, line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "  " : " ", number);
  }
  absl::StrAppend(&text, line, "\n};\n");
  return text;
}

bool IsLetter(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; }

}  // namespace

std::string FloatLiteral(float x) {
  // Nine digits name a float.
  std::string text = absl::StrFormat("%.9g", x);
  // As few as name it are easier to read.
  for (int digits = 1; digits < 9; ++digits) {
    const std::string shorter = absl::StrFormat("%.*g", digits, x);
    if (std::strtof(shorter.c_str(), nullptr) == x) {
      text = shorter;
      break;
    }
  }
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text + "f";
}

std::string IntLiteral(int64_t x) {
  if (x == std::numeric_limits<int32_t>::min()) return "INT32_MIN";
  return absl::StrCat(x);
}

std::string CommentText(absl::string_view text) {
  std::string result(text);
  for (char& c : result) {
    const bool is_fine = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                         absl::string_view(" _/.,:;()[]'=+->").find(c) != absl::string_view::npos;
    if (!is_fine) c = '_';
  }
  return result;
}

bool IsIdentifier(absl::string_view text) {
  if (text.empty() || absl::ascii_isdigit(static_cast<unsigned char>(text[0])) || text[0] == '_') return false;
  for (const char c : text) {
    if (!IsLetter(c)) return false;
  }
  // "net" is followed by "_..." everywhere but in the names of files, so keywords do no harm.
  return true;
}

std::string AsIdentifier(absl::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (!IsLetter(c)) c = '_';
  }
  return result;
}

std::string WithName(absl::string_view text, absl::string_view name) {
  const std::string upper = absl::AsciiStrToUpper(name);
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool begins = i == 0 || !IsLetter(text[i - 1]);
    const absl::string_view word = text.substr(i, 4);
    if (begins && (word == "net_" || word == "NET_")) {
      absl::StrAppend(&result, word == "net_" ? absl::string_view(name) : absl::string_view(upper), "_");
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string CArrays::Unique(absl::string_view name) {
  const std::string base = absl::StrCat("net_", AsIdentifier(name));
  std::string unique = base;
  for (int i = 2; !names_.insert(unique).second; ++i) unique = absl::StrCat(base, "_", i);
  return unique;
}

std::string CArrays::Add(absl::string_view name, absl::string_view comment, absl::Span<const float> values) {
  const std::string unique = Unique(name);
  for (const float value : values) has_infinite_ |= !std::isfinite(value);
  absl::StrAppend(&text_, "\n/* ", CommentText(comment), " */\n",
                  ArrayText("float", unique, values, [](float x) { return FloatLiteral(x); }));
  bytes_ += static_cast<int64_t>(values.size()) * 4;
  return unique;
}

std::string CArrays::Add(absl::string_view name, absl::string_view comment, absl::Span<const int32_t> values) {
  const std::string unique = Unique(name);
  absl::StrAppend(&text_, "\n/* ", CommentText(comment), " */\n",
                  ArrayText("int32_t", unique, values, [](int32_t x) { return IntLiteral(x); }));
  bytes_ += static_cast<int64_t>(values.size()) * 4;
  return unique;
}

std::string CArrays::Add(absl::string_view name, absl::string_view comment, absl::Span<const uint32_t> values) {
  const std::string unique = Unique(name);
  absl::StrAppend(&text_, "\n/* ", CommentText(comment), " */\n",
                  ArrayText("uint32_t", unique, values, [](uint32_t x) { return absl::StrFormat("0x%08xu", x); }));
  bytes_ += static_cast<int64_t>(values.size()) * 4;
  return unique;
}

std::string CArrays::Add(absl::string_view name, absl::string_view comment, absl::Span<const uint8_t> values) {
  const std::string unique = Unique(name);
  absl::StrAppend(&text_, "\n/* ", CommentText(comment), " */\n",
                  ArrayText("uint8_t", unique, values, [](uint8_t x) { return absl::StrCat(int{x}); }));
  bytes_ += static_cast<int64_t>(values.size());
  return unique;
}

std::string CArrays::AddStruct(absl::string_view type, absl::string_view name, absl::string_view comment,
                               absl::Span<const int64_t> values) {
  const std::string unique = Unique(name);
  std::string list;
  for (const int64_t value : values) absl::StrAppend(&list, list.empty() ? "" : ", ", IntLiteral(value));
  absl::StrAppend(&text_, "\n/* ", CommentText(comment), " */\nstatic const ", type, " ", unique, " = {", list, "};\n");
  bytes_ += static_cast<int64_t>(values.size()) * 4;
  return unique;
}

}  // namespace bitgrad
