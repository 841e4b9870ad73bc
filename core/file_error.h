// One wording for the errors that the operating system reports about files.

#ifndef BITGRAD_CORE_FILE_ERROR_H_
#define BITGRAD_CORE_FILE_ERROR_H_

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

// An error such as "cannot open 'net.bgm': No such file or directory; check the path". `what` is the verb ("open"),
// `error` the errno of the call that failed. REQUIRES: error != 0.
inline absl::Status FileError(absl::string_view what, absl::string_view path, int error) {
  absl::string_view advice;
  switch (error) {
    case ENOENT:
    case ENOTDIR: advice = "; check the path"; break;
    case EACCES:
    case EPERM: advice = "; check its permissions"; break;
    case EROFS: advice = "; choose a directory that can be written"; break;
    case ENOSPC:
    case EDQUOT: advice = "; free some space or write elsewhere"; break;
    case EMFILE: advice = "; raise the limit of open files (ulimit -n)"; break;
    case ENOMEM: advice = "; free some memory, or raise the limit of addresses (ulimit -v)"; break;
    case EFBIG: advice = "; raise the limit (ulimit -f) or write elsewhere"; break;
    default: break;
  }
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat("cannot ", what, " '", path, "': ", std::strerror(error), advice));
}

}  // namespace bitgrad

#endif  // BITGRAD_CORE_FILE_ERROR_H_
