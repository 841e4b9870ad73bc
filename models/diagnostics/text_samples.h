// Samples of what a model of text writes.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_TEXT_SAMPLES_H_
#define BITGRAD_MODELS_DIAGNOSTICS_TEXT_SAMPLES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/text.h"
#include "bitgrad/data/vocabulary.h"
#include "bitgrad/models/model.h"
#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad {

// What the model, run as an evaluation runs it, goes on with after "The", or where the vocabulary lacks that after the
// beginning of a line: 300 characters or 60 words, drawn at temperature 0.8. The random numbers are the same each time,
// none of the context's. REQUIRES: the model takes tokens of this vocabulary. Errors are those of its ops;
// InvalidArgument where it gives a NaN.
absl::StatusOr<std::vector<diagnostics::Sample>> WriteSamples(ExecContext& context, Model& model,
                                                              const Vocabulary& vocabulary, TextUnit unit);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_TEXT_SAMPLES_H_
