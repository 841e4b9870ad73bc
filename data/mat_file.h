// CheckMatFile: that a MATLAB file holds the data that it announces. matio, which reads their variables, gives back
// whatever there is of a truncated or damaged one, with uninitialised memory in the place of what is missing.
//
// MATLAB 5:
//   file    = 116 bytes of text "MATLAB 5.0 MAT-file, ...", 8 bytes, version, "IM" where little-endian; element, ...
//   element = type uint32, size uint32, size bytes; those of type 15 are zlib streams with one element in them
//   matrix  = element of type 14: flags, extents, name, data, each an element of its own, padded to 8 bytes; one of up
//   to
//             4 bytes may be packed: type uint16, size uint16, 4 bytes
// MATLAB 7.3:
//   file    = 512 bytes that begin with the text "MATLAB 7.3 MAT-file, ..."; an HDF5 file

#ifndef BITGRAD_DATA_MAT_FILE_H_
#define BITGRAD_DATA_MAT_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bitgrad {

// Of a MATLAB 5 file, walks over all elements and inflates the compressed ones, which compares their checksums, and
// compares the size of every numeric matrix's data with its extents: after that, memory for a matrix is no more than
// what the file really holds. Of a MATLAB 7.3 file only the two beginnings are looked at; HDF5's library notices when
// the file is shorter than it was written.
//
// Returns how many bytes its numbers can take in memory at most: of MATLAB 5, 8 times what the elements inflate to (a
// double may be stored as a byte); of 7.3, 1032 times the file's size, the most that zlib's format can expand.
//
// Errors name the file: NotFound and PermissionDenied as the system says; InvalidArgument for a file of another kind;
// DataLoss where the elements do not fill the file, there is none, a compressed one is damaged, or a matrix's data have
// another size than its extents say.
absl::StatusOr<int64_t> CheckMatFile(const std::string& path);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_MAT_FILE_H_
