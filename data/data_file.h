// Where a data set's file lies: in one of a few directories, plain or gzipped.

#ifndef BITGRAD_DATA_DATA_FILE_H_
#define BITGRAD_DATA_DATA_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace bitgrad {

// The path of `name` or of `name`.gz in the first directory that has one. NotFound, "found neither NAME nor NAME.gz in
// directory 'A' or 'B'", where there is none; what the system says where it does not let us look.
absl::StatusOr<std::string> FindDataFile(absl::Span<const std::string> directories, const std::string& name);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_DATA_FILE_H_
