// CheckMatFile: that nothing is missing from a MATLAB 5 file. matio, which reads their variables, gives back whatever
// there is of a truncated or damaged one.
//
//   file    = 116 bytes of text "MATLAB 5.0 MAT-file, ...", 8 bytes, version, "IM" where little-endian; element, ...
//   element = type uint32, size uint32, size bytes; those of type 15 are zlib streams

#ifndef BITGRAD_DATA_MAT_FILE_H_
#define BITGRAD_DATA_MAT_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace bitgrad {

// Walks over all elements and inflates the compressed ones, which compares their checksums. Errors name the file:
// NotFound and PermissionDenied as the system says; InvalidArgument for a file of another kind; DataLoss where the
// elements do not fill the file, there is none, or a compressed one is damaged.
absl::Status CheckMatFile(const std::string& path);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_MAT_FILE_H_
