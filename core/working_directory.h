// Where a user's relative paths start.

#ifndef BITGRAD_CORE_WORKING_DIRECTORY_H_
#define BITGRAD_CORE_WORKING_DIRECTORY_H_

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

// `bazel run` starts programs in a directory of its own and tells in BUILD_WORKING_DIRECTORY where
// the user stands: a relative path of the command line is meant from there. Empty and absolute
// paths are returned as they are.
inline std::string ResolvePath(absl::string_view path) {
  const char* base = std::getenv("BUILD_WORKING_DIRECTORY");
  if (path.empty() || path[0] == '/' || base == nullptr || *base == '\0') return std::string(path);
  return absl::StrCat(base, "/", path);
}

}  // namespace bitgrad

#endif  // BITGRAD_CORE_WORKING_DIRECTORY_H_
