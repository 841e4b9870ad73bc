// Finds MNIST's relatives' files under the names that their archives and unpackers give them (idx_dataset.h).

#ifndef BITGRAD_DATA_IDX_FILE_NAMES_H_
#define BITGRAD_DATA_IDX_FILE_NAMES_H_

#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"

namespace bitgrad {

enum class IdxContent { kImages, kLabels };

// The path of a split's file. `data_dir` is the directory, or, where there is no such directory, a directory and the
// name in front of the files': DIR/emnist-letters. Of several spellings of one file the first in this order is taken:
// plain before .gz, "-idx" before ".idx", a file before a folder.
//
// Errors: NotFound, "found neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz in directory 'DIR'";
// InvalidArgument where files of several names are there and none has no name in front; what the system says where it
// does not let us look.
absl::StatusOr<std::string> FindIdxFile(const std::string& data_dir, Split split, IdxContent content);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IDX_FILE_NAMES_H_
