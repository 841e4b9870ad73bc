// CheckMat5Elements: that a MATLAB 5 file holds the data that it announces. matio, which reads the variables, gives
// back whatever there is of a truncated or damaged file, with uninitialised memory in the place of what is missing.
//
//   file    = 116 bytes of text "MATLAB 5.0 MAT-file, ...", 8 bytes, version, "IM" where little-endian; element, ...
//   element = type uint32, size uint32, size bytes; those of type 15 are zlib streams with one element in them
//   matrix  = element of type 14: flags, extents, name, data, each an element of its own, padded to 8 bytes; one of
//             up to 4 bytes may be packed: type uint16, size uint16, 4 bytes

#ifndef BITGRAD_DATA_MAT5_ELEMENTS_H_
#define BITGRAD_DATA_MAT5_ELEMENTS_H_

#include <cstdint>

#include "absl/types/span.h"

namespace bitgrad {

// Walks over all elements of a file and inflates the compressed ones, which compares their checksums, and compares the
// size of every numeric matrix's data with its extents: after that, memory for a matrix is bounded by what the file
// really holds. False where the elements do not fill the file, there is none, a compressed one is damaged, or a
// matrix's data have another size than its extents say.
bool CheckMat5Elements(absl::Span<const uint8_t> file);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_MAT5_ELEMENTS_H_
