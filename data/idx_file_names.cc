#include "bitgrad/data/idx_file_names.h"

#include <cerrno>
#include <filesystem>
#include <map>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/optional.h"
#include "bitgrad/core/file_error.h"
#include "bitgrad/core/shell_quote.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

namespace fs = std::filesystem;

// "emnist-letters-" and how usual the rest of the name is: 0 is the first choice.
struct Match {
  std::string prefix;
  int rank = 0;
};

// What `name` is, if it is a name of such a file.
absl::optional<Match> MatchName(absl::string_view name, Split split, IdxContent content) {
  Match match;
  if (absl::ConsumeSuffix(&name, ".gz")) match.rank += 1;
  if (!absl::ConsumeSuffix(&name, "-ubyte")) return absl::nullopt;
  const bool images = content == IdxContent::kImages;
  if (!absl::ConsumeSuffix(&name, images ? "idx3" : "idx1") && !(images && absl::ConsumeSuffix(&name, "idx4"))) {
    return absl::nullopt;
  }
  if (absl::ConsumeSuffix(&name, ".")) {
    match.rank += 2;
  } else if (!absl::ConsumeSuffix(&name, "-")) {
    return absl::nullopt;
  }
  if (!absl::ConsumeSuffix(&name, images ? "-images" : "-labels")) return absl::nullopt;
  const bool known = split == Split::kTrain ? absl::ConsumeSuffix(&name, "train")
                                            : absl::ConsumeSuffix(&name, "t10k") || absl::ConsumeSuffix(&name, "test");
  if (!known || !(name.empty() || name.back() == '-')) return absl::nullopt;
  match.prefix = std::string(name);
  return match;
}

// The files in a directory, by prefix and rank. A folder of a file's name stands for the file in it.
using Found = std::map<std::string, std::map<int, std::string>>;

absl::StatusOr<Found> FindAll(const std::string& directory, Split split, IdxContent content, bool within = false) {
  Found found;
  std::error_code error;
  fs::directory_iterator it(directory, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    const absl::optional<Match> match = MatchName(it->path().filename().string(), split, content);
    if (!match.has_value()) continue;
    std::error_code unknown;
    if (!it->is_directory(unknown)) {
      found[match->prefix][match->rank] = it->path().string();
    } else if (!within) {
      BITGRAD_ASSIGN_OR_RETURN(Found inner, FindAll(it->path().string(), split, content, /*within=*/true));
      constexpr int kInFolder = 4;
      for (const auto& [rank, path] : inner[match->prefix]) found[match->prefix][kInFolder + rank] = path;
    }
  }
  if (error && error.value() != ENOENT && error.value() != ENOTDIR) {
    return FileError("list directory", directory, error.value());
  }
  return found;
}

}  // namespace

absl::StatusOr<std::string> FindIdxFile(const std::string& data_dir, Split split, IdxContent content) {
  const char* const name = content == IdxContent::kImages
                               ? split == Split::kTrain ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte"
                           : split == Split::kTrain ? "train-labels-idx1-ubyte"
                                                    : "t10k-labels-idx1-ubyte";
  const absl::Status missing =
      absl::NotFoundError(absl::StrCat("found neither ", name, " nor ", name, ".gz in directory '", data_dir, "'"));
  std::error_code error;
  if (!fs::is_directory(data_dir, error)) {
    const fs::path path(data_dir);
    if (path.filename().empty()) return missing;
    const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
    BITGRAD_ASSIGN_OR_RETURN(Found found, FindAll(parent, split, content));
    const auto files = found.find(absl::StrCat(path.filename().string(), "-"));
    if (files == found.end() || files->second.empty()) return missing;
    return files->second.begin()->second;
  }
  BITGRAD_ASSIGN_OR_RETURN(const Found found, FindAll(data_dir, split, content));
  std::vector<std::string> names;
  for (const auto& [prefix, files] : found) {
    if (files.empty()) continue;
    if (prefix.empty()) return files.begin()->second;
    names.push_back(std::string(absl::StripSuffix(prefix, "-")));
  }
  if (names.empty()) return missing;
  if (names.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("directory '", data_dir, "' has the files of several data sets: ", absl::StrJoin(names, ", "),
                     "; pick one with --data_dir=", ShellQuoted(data_dir + "/" + names[0])));
  }
  return found.at(names[0] + "-").begin()->second;
}

}  // namespace bitgrad
