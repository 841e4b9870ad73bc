// Text from a packed model of text: token after token, each drawn from what the model predicts after those before.

#ifndef BITGRAD_RUNTIME_GENERATE_H_
#define BITGRAD_RUNTIME_GENERATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/text.h"
#include "bitgrad/data/vocabulary.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// What a packed model says of the text that it was made for. FailedPrecondition where it is no model of text.
absl::StatusOr<Vocabulary> VocabularyOf(const PackedModel& model);
// REQUIRES: it is a model of text.
TextUnit UnitOf(const packed::Header& header);

// A text that the model goes on with, in its tokens.
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

// Writes tokens as text, piece by piece: words with spaces between them and "<eos>" as the end of a line; characters as
// they are.
class TextWriter {
 public:
  TextWriter(const Vocabulary& vocabulary, TextUnit unit) : vocabulary_(vocabulary), unit_(unit) {}
  // What the token adds to the text.
  std::string Next(int32_t token);
  // What a text of words that does not end with a line needs.
  std::string End() const { return unit_ == TextUnit::kWords && in_line_ ? "\n" : ""; }

 private:
  const Vocabulary& vocabulary_;
  const TextUnit unit_;
  bool in_line_ = false;
};

struct GenerateOptions {
  int64_t length = 200;    // tokens behind the prompt
  double temperature = 1;  // at least 0
  uint64_t seed = 1;       // the same numbers give the same text
};

// Calls `write` with the prompt and what follows it, as it comes. What stands before the prompt is the end of a line.
// Errors are those above and of the device. REQUIRES: VocabularyOf(model) is ok.
absl::Status Generate(const PackedModel& model, ExecContext& context, absl::Span<const int32_t> prompt,
                      const GenerateOptions& options, absl::FunctionRef<void(absl::string_view)> write);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_GENERATE_H_
