// Text from a packed model of text (data/text_generation.h).

#ifndef BITGRAD_RUNTIME_GENERATE_H_
#define BITGRAD_RUNTIME_GENERATE_H_

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/text.h"
#include "bitgrad/data/text_generation.h"
#include "bitgrad/data/vocabulary.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// What a packed model says of the text that it was made for. FailedPrecondition where it is no model of text.
absl::StatusOr<Vocabulary> VocabularyOf(const PackedModel& model);
// REQUIRES: it is a model of text.
TextUnit UnitOf(const packed::Header& header);

// GenerateText() with the packed model. Errors are its errors, those of VocabularyOf() and of the device.
absl::Status Generate(const PackedModel& model, ExecContext& context, absl::Span<const int32_t> prompt,
                      const GenerateOptions& options, absl::FunctionRef<void(absl::string_view)> write);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_GENERATE_H_
