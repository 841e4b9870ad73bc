// A variable of a MATLAB 7.3 file, which is an HDF5 file with MATLAB's header in front.

#ifndef BITGRAD_DATA_MAT73_VARIABLE_H_
#define BITGRAD_DATA_MAT73_VARIABLE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/data/mat_file.h"

namespace bitgrad {

// As MatFile::Read(). That nothing is missing is seen from the data's size in the file, or, where they lie in chunks,
// from the number of chunks: HDF5's library would give zeros for a chunk that is not there. It must not be called on
// several threads at a time: neither can the library.
absl::StatusOr<MatVariable> ReadMat73Variable(const std::string& path, const std::string& name, int64_t most_numbers);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_MAT73_VARIABLE_H_
