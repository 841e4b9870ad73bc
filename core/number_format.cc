#include "bitgrad/core/number_format.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bitgrad/core/did_you_mean.h"

namespace bitgrad {
namespace {

struct NamedFormat {
  const char* name;
  NumberFormatKind kind;
  size_t arguments;
};

constexpr NamedFormat kFormats[] = {
    {"float", NumberFormatKind::kFloat, 0},
    {"half", NumberFormatKind::kHalf, 0},
    {"bfloat16", NumberFormatKind::kBfloat16, 0},
    {"fixed", NumberFormatKind::kFixed, 2},
    {"dynamic_fixed", NumberFormatKind::kDynamicFixed, 1},
};

const NamedFormat& InfoOf(NumberFormatKind kind) {
  for (const NamedFormat& format : kFormats) {
    if (format.kind == kind) return format;
  }
  return kFormats[0];
}

absl::Status CheckNumber(absl::string_view text, absl::string_view what, int value, int least, int most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("number format '", text, "': ", what, " is ", value, ", must be in [", least, ", ", most, "]"));
}

}  // namespace

absl::StatusOr<NumberFormat> ParseNumberFormat(absl::string_view text) {
  const absl::string_view whole = absl::StripAsciiWhitespace(text);
  if (whole.empty()) return NumberFormat();
  const size_t open = whole.find('(');
  const std::string name(absl::StripAsciiWhitespace(whole.substr(0, open)));
  std::vector<std::string> names;
  const NamedFormat* found = nullptr;
  for (const NamedFormat& format : kFormats) {
    names.push_back(format.name);
    if (name == format.name) found = &format;
  }
  if (found == nullptr) {
    return absl::NotFoundError(absl::StrCat("unknown number format '", name, "'", DidYouMean(name, names),
                                            "; known: float, half, bfloat16, fixed(bits, range), dynamic_fixed(bits)"));
  }
  std::vector<int> arguments;
  if (open != absl::string_view::npos) {
    if (whole.back() != ')') {
      return absl::InvalidArgumentError(absl::StrCat("number format '", text, "' lacks its closing parenthesis"));
    }
    const absl::string_view inside = whole.substr(open + 1, whole.size() - open - 2);
    for (const absl::string_view part : absl::StrSplit(inside, ',')) {
      int value = 0;
      if (!absl::SimpleAtoi(part, &value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("number format '", text, "': '", part, "' is not a whole number"));
      }
      arguments.push_back(value);
    }
  }
  if (arguments.size() != found->arguments) {
    return absl::InvalidArgumentError(
        absl::StrCat("number format '", text, "' has ", arguments.size(), " numbers; write ",
                     found->kind == NumberFormatKind::kFixed          ? "fixed(bits, range)"
                     : found->kind == NumberFormatKind::kDynamicFixed ? "dynamic_fixed(bits)"
                                                                      : found->name));
  }
  NumberFormat format = {.kind = found->kind};
  if (format.is_fixed()) {
    format.bits = arguments[0];
    if (absl::Status error = CheckNumber(text, "the number of bits, with the sign,", format.bits, 2, 32); !error.ok()) {
      return error;
    }
  }
  if (format.kind == NumberFormatKind::kFixed) {
    format.range = arguments[1];
    if (absl::Status error =
            CheckNumber(text, "the range", format.range, NumberFormat::kLeastRange, NumberFormat::kMostRange);
        !error.ok()) {
      return error;
    }
  }
  return format;
}

std::string ToString(const NumberFormat& format) {
  const std::string name = InfoOf(format.kind).name;
  switch (format.kind) {
    case NumberFormatKind::kFixed: return absl::StrCat(name, "(", format.bits, ", ", format.range, ")");
    case NumberFormatKind::kDynamicFixed: return absl::StrCat(name, "(", format.bits, ")");
    default: return name;
  }
}

}  // namespace bitgrad
