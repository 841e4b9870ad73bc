// The header of a safetensors file: JSON that says which tensors the file has, and where.
//
//   {"__metadata__": {"producer": "bitgrad"},
//    "fc1.weight": {"dtype": "F32", "shape": [256, 784], "data_offsets": [0, 802816]}, ...}
//
// Exactly this subset of JSON is read, without recursion: files come from strangers. Of a tensor, each of the three
// keys has to be there once, and no other; numbers are integers that are not negative; texts are UTF-8; names are
// distinct. White space may stand between any two tokens, and spaces behind the last brace.

#ifndef BITGRAD_EXPORT_SAFETENSORS_HEADER_H_
#define BITGRAD_EXPORT_SAFETENSORS_HEADER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/shape.h"

namespace bitgrad {

struct SafetensorsHeaderEntry {
  std::string name;
  std::string dtype;  // "F32": whatever text the header has
  Shape shape;        // as in the header, not validated
  // The tensor's bytes are begin .. end - 1, counted from the end of the header; not checked either.
  int64_t begin = 0, end = 0;
};

// The tensors of the header, in its order. InvalidArgument "at byte N of the header: ..." for anything but what is
// described above.
absl::StatusOr<std::vector<SafetensorsHeaderEntry>> ParseSafetensorsHeader(absl::string_view json);

// The header with these tensors, and spaces at its end, so that the data after it, and the 8 bytes before it, begins at
// a multiple of 8.
std::string WriteSafetensorsHeader(absl::Span<const SafetensorsHeaderEntry> entries, absl::string_view producer);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_SAFETENSORS_HEADER_H_
