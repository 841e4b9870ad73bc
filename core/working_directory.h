// The directory from which a user's relative paths start.

#ifndef BITGRAD_CORE_WORKING_DIRECTORY_H_
#define BITGRAD_CORE_WORKING_DIRECTORY_H_

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

// `path` as the user means it. `bazel run` starts programs in a directory of its own and names the user's directory in
// BUILD_WORKING_DIRECTORY: relative paths from the command line start there. Empty and absolute paths are returned
// unchanged.
inline std::string ResolvePath(absl::string_view path) {
  const char* base = std::getenv("BUILD_WORKING_DIRECTORY");
  if (path.empty() || path[0] == '/' || base == nullptr || *base == '\0') return std::string(path);
  return absl::StrCat(base, "/", path);
}

}  // namespace bitgrad

#endif  // BITGRAD_CORE_WORKING_DIRECTORY_H_
