#include "bitgrad/export/tensor_names.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {

absl::StatusOr<TensorNames> TensorNames::Parse(const std::string& path, absl::string_view text) {
  TensorNames names;
  names.path_ = path;
  std::map<std::string, int> lines_of_names;
  // Editors mark UTF-8 with this.
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const auto error = [&](const auto&... what) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", number, ": ", what...));
    };
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const std::pair<absl::string_view, absl::string_view> sides = absl::StrSplit(line, absl::MaxSplits('=', 1));
    const std::vector<std::string> left =
        absl::StrSplit(sides.first, absl::ByAnyChar(" \t\r\v\f"), absl::SkipWhitespace());
    const std::vector<std::string> right =
        absl::StrSplit(sides.second, absl::ByAnyChar(" \t\r\v\f"), absl::SkipWhitespace());
    if (left.size() != 1 || right.empty() || right.size() > 2) {
      return error("'", absl::CHexEscape(line), "' is not 'PARAMETER = NAME' or 'PARAMETER = NAME LAYOUT'");
    }
    TensorName name{.line = number};
    if (right[0] != "-") name.name = right[0];
    if (right.size() == 2) {
      if (name.name.empty()) return error("'-' stands alone: what is not in the file has no layout there");
      const absl::StatusOr<TensorLayout> layout = ParseTensorLayout(right[1]);
      if (!layout.ok()) return error(layout.status().message());
      name.layout = *layout;
    }
    if (const auto [old, is_new] = names.names_.emplace(left[0], name); !is_new) {
      return error("parameter '", left[0], "' is named in line ", old->second.line, " already");
    }
    if (name.name.empty()) continue;
    if (const auto [old, is_new] = lines_of_names.emplace(name.name, number); !is_new) {
      return error("the name '", name.name, "' is given in line ", old->second, " already");
    }
  }
  return names;
}

absl::StatusOr<TensorNames> TensorNames::Read(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  return Parse(path, {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
}

absl::Status TensorNames::CheckParameters(absl::Span<const std::string> parameters) const {
  const std::set<std::string> known(parameters.begin(), parameters.end());
  for (const auto& [parameter, name] : names_) {
    if (known.count(parameter) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(path_, ":", name.line, ": the checkpoint has no parameter '",
                                                     parameter, "'", DidYouMean(parameter, parameters)));
    }
    if (name.name != parameter && known.count(name.name) != 0 && names_.count(name.name) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(path_, ":", name.line, ": '", name.name,
                                                     "' is the name of the parameter '", name.name,
                                                     "' as well; give that one another"));
    }
  }
  return absl::OkStatus();
}

TensorName TensorNames::Of(const std::string& parameter) const {
  const auto found = names_.find(parameter);
  return found == names_.end() ? TensorName{.name = parameter} : found->second;
}

std::string TensorNames::PlaceOf(const std::string& parameter) const {
  const auto found = names_.find(parameter);
  return found == names_.end() ? "" : absl::StrCat(path_, ":", found->second.line, ": ");
}

}  // namespace bitgrad
