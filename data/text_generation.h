// Text that a model makes up: token after token, each drawn from what the model predicts after those before.

#ifndef BITGRAD_DATA_TEXT_GENERATION_H_
#define BITGRAD_DATA_TEXT_GENERATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/data/text.h"
#include "bitgrad/data/vocabulary.h"

namespace bitgrad {

// A text that a model goes on with, in its tokens.
struct Prompt {
  std::vector<int32_t> tokens;
  // Words, or characters, that the vocabulary does not have, each once; they are "<unk>".
  std::vector<std::string> unknown;
};
// InvalidArgument where the vocabulary lacks a token and "<unk>", too.
absl::StatusOr<Prompt> ReadPrompt(const Vocabulary& vocabulary, TextUnit unit, absl::string_view text);

// The token that is drawn from logits, by the softmax of logits / temperature; at temperature 0 the first of the
// largest. `random` is uniform in [0, 1). InvalidArgument where a logit is a NaN or +infinity.
absl::StatusOr<int32_t> DrawToken(absl::Span<const float> logits, double temperature, double random);

struct GenerateOptions {
  int64_t length = 200;    // tokens behind the prompt
  double temperature = 1;  // at least 0
  uint64_t seed = 1;       // the same numbers give the same text
};

// Calls `write` with the text of each token of the prompt and of what follows it, as it comes, and at last with what
// ends it. Words have spaces between them, and "<eos>" is the end of a line; characters are as they are. What stands
// before the prompt is the end of a line.
//
// `read` is the model: it reads a token, after all those before, and gives the logits of the one that follows, which
// stay valid until it is called again.
//
// InvalidArgument where length or temperature is none; errors of DrawToken() and of `read`.
absl::Status GenerateText(const Vocabulary& vocabulary, TextUnit unit, absl::Span<const int32_t> prompt,
                          const GenerateOptions& options,
                          absl::FunctionRef<absl::StatusOr<absl::Span<const float>>(int32_t token)> read,
                          absl::FunctionRef<void(absl::string_view)> write);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_TEXT_GENERATION_H_
