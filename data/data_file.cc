#include "bitgrad/data/data_file.h"

#include <sys/stat.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace bitgrad {

absl::StatusOr<std::string> FindDataFile(absl::Span<const std::string> directories, const std::string& name) {
  for (const std::string& directory : directories) {
    const std::string plain = absl::StrCat(directory, "/", name);
    for (const std::string& path : {plain, absl::StrCat(plain, ".gz")}) {
      struct stat info;
      if (stat(path.c_str(), &info) == 0) return path;
      if (errno != ENOENT && errno != ENOTDIR) {
        return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
      }
    }
  }
  return absl::NotFoundError(absl::StrCat("found neither ", name, " nor ", name, ".gz in directory '",
                                          absl::StrJoin(directories, "' or '"), "'"));
}

}  // namespace bitgrad
