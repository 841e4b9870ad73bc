// MatFile: numeric variables of MATLAB files, of version 5 (read by matio) and of version 7.3 (read by HDF5's library).
//
//   BITGRAD_ASSIGN_OR_RETURN(const MatFile file, MatFile::Open("train_32x32.mat"));
//   BITGRAD_ASSIGN_OR_RETURN(const MatVariable x, file.Read("X"));

#ifndef BITGRAD_DATA_MAT_FILE_H_
#define BITGRAD_DATA_MAT_FILE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace bitgrad {

struct MatVariable {
  std::vector<int64_t> dims;    // as MATLAB has them
  bool is_uint8 = false;        // else double
  std::vector<uint8_t> bytes;   // where it is uint8: column-major, the first extent varies fastest
  std::vector<double> doubles;  // where it is double
};

class MatFile {
 public:
  // Checks that a version 5 file holds all that it announces (mat5_elements.h), which reads it once. Errors name the
  // file: NotFound and PermissionDenied as the system says; InvalidArgument for a file of another kind; DataLoss for a
  // truncated or damaged one.
  static absl::StatusOr<MatFile> Open(const std::string& path);

  // Memory is taken for no more than `most_numbers`, nor for more than what the file really holds (7.3: can hold, 1032
  // times its size). Errors name the file: DataLoss where there is no such variable or its data are missing, damaged,
  // or more than `most_numbers`; InvalidArgument for one of another type.
  absl::StatusOr<MatVariable> Read(const std::string& name, int64_t most_numbers) const;

 private:
  MatFile(std::string path, bool is_hdf5) : path_(std::move(path)), is_hdf5_(is_hdf5) {}

  std::string path_;
  bool is_hdf5_;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_MAT_FILE_H_
