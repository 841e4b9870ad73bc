// ToCSource: a packed model as C99 that needs no library, no allocation and no operating system, for microcontrollers
// and for embedding. docs/c_source.md describes what is written.
//
//   BITGRAD_ASSIGN_OR_RETURN(const CSource source, ToCSource(*model, context, {.name = "digits"}));

#ifndef BITGRAD_EXPORT_C_CODE_C_SOURCE_H_
#define BITGRAD_EXPORT_C_CODE_C_SOURCE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

struct CSourceOptions {
  std::string name = "net";  // what all names and the files begin with
  uint64_t seed = 1;         // of the golden vectors
};

struct CSource {
  std::string header, source, test;  // NAME.h, NAME.c, NAME_test.c
  int64_t flash_bytes = 0;           // of the constant arrays; code comes on top of that
  int64_t scratch_bytes = 0;         // of the arena
  int64_t golden_vectors = 0;
};

// InvalidArgument where the name is no C identifier; Unimplemented, with the layer, for what cannot be written as C.
// REQUIRES: the context's device is the CPU.
absl::StatusOr<CSource> ToCSource(const PackedModel& model, ExecContext& context, const CSourceOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_C_SOURCE_H_
