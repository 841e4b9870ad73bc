// CheckOutputIsNotInput: a program never writes over what it reads, under whatever name the user gives it.

#ifndef BITGRAD_CORE_SAME_FILE_H_
#define BITGRAD_CORE_SAME_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace bitgrad {

// Whether the two paths name the same file: the same device and inode where both exist (links of both kinds included),
// else the same place once links and ".." are resolved. An empty path names no file.
bool SameFile(const std::string& a, const std::string& b);

// A file and what it is to the user: {"--out", "/runs/net.bgm"}.
struct NamedFile {
  absl::string_view name;
  std::string path;
};

// InvalidArgument, with both names, where an output is the same file as an input or as another output.
absl::Status CheckOutputIsNotInput(absl::Span<const NamedFile> outputs, absl::Span<const NamedFile> inputs);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_SAME_FILE_H_
