#include "bitgrad/data/call.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

// "crop(4)": a form with its defaults.
std::string Example(const CallForm& form) {
  if (form.defaults.empty()) return form.name;
  return absl::StrCat(form.name, "(", absl::StrJoin(form.defaults, ","), ")");
}

absl::StatusOr<std::vector<float>> ParseArguments(const CallForm& form, absl::string_view text) {
  const absl::Status wrong = absl::InvalidArgumentError(
      form.defaults.empty() ? absl::StrCat("'", form.name, "' takes no arguments")
                            : absl::StrCat("'", form.name, "' takes ", form.defaults.size(),
                                           form.whole ? " whole number(s)" : " number(s)", " from ", form.least, " to ",
                                           form.most, "; for example ", Example(form)));
  std::vector<float> arguments;
  for (absl::string_view item : absl::StrSplit(text, ',')) {
    float value = 0;
    if (!absl::SimpleAtof(item, &value) || !(value >= form.least) || !(value <= form.most) ||
        (form.whole && value != std::floor(value))) {
      return wrong;
    }
    arguments.push_back(value);
  }
  if (arguments.size() != form.defaults.size()) return wrong;
  return arguments;
}

}  // namespace

absl::StatusOr<Call> ParseCall(absl::string_view what, absl::string_view text, absl::Span<const CallForm> forms) {
  const auto error = [&](const auto&... parts) {
    return absl::InvalidArgumentError(absl::StrCat(what, " '", text, "': ", parts...));
  };
  absl::string_view name = absl::StripAsciiWhitespace(text);
  absl::string_view arguments;
  const size_t open = name.find('(');
  const bool has_arguments = open != absl::string_view::npos;
  if (has_arguments) {
    arguments = name.substr(open + 1);
    if (!absl::ConsumeSuffix(&arguments, ")")) return error("missing ')'");
    name = name.substr(0, open);
  }
  for (size_t i = 0; i < forms.size(); ++i) {
    if (name != forms[i].name) continue;
    Call call{static_cast<int>(i), forms[i].defaults};
    if (has_arguments) {
      const absl::StatusOr<std::vector<float>> parsed = ParseArguments(forms[i], arguments);
      if (!parsed.ok()) return error(parsed.status().message());
      call.arguments = *parsed;
    }
    return call;
  }
  std::vector<std::string> names;
  for (const CallForm& form : forms) names.push_back(form.name);
  return error("unknown", DidYouMean(name, names), "; known: ", absl::StrJoin(names, ", "));
}

std::string CallsHelp(absl::Span<const CallForm> forms) {
  std::string help;
  for (const CallForm& form : forms) {
    absl::StrAppendFormat(&help, "  %-22s %s\n", Example(form), form.help);
  }
  return help;
}

}  // namespace bitgrad
