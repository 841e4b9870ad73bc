// RawArrays: the blobs of a packed model as files of plain bytes with a manifest in JSON, for readers of one's own.
// docs/c_source.md describes the manifest.

#ifndef BITGRAD_EXPORT_C_CODE_RAW_ARRAYS_H_
#define BITGRAD_EXPORT_C_CODE_RAW_ARRAYS_H_

#include <string>
#include <vector>

#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

struct RawFile {
  std::string name;
  std::string bytes;
};

// A file for each blob, named PREFIX_NUMBER.bin, and PREFIX_manifest.json at the end.
std::vector<RawFile> RawArrays(const PackedModel& model, const std::string& prefix);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_RAW_ARRAYS_H_
