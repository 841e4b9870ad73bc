// The last pass: a program becomes a packed model.

#ifndef BITGRAD_EXPORT_EMIT_H_
#define BITGRAD_EXPORT_EMIT_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "bitgrad/export/program.h"
#include "bitgrad/runtime/packed_model_writer.h"

namespace bitgrad {

// The instructions and blobs of the used values. `batch` is the number of examples that the program was recorded with.
// The header's other fields are the caller's. Unimplemented, naming layer and op, for what the packed format does not
// have.
absl::StatusOr<PackedModelWriter> Emit(const program::Program& program, int64_t batch);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_EMIT_H_
