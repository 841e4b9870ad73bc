#include "bitgrad/models/diagnostics/text_samples.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/data/text_generation.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"

namespace bitgrad {
namespace {

constexpr double kTemperature = 0.8;
constexpr uint64_t kSeed = 1;

Prompt PromptOf(const Vocabulary& vocabulary, TextUnit unit) {
  const bool is_words = unit == TextUnit::kWords;
  for (const absl::string_view text : {is_words ? "The" : "The ", is_words ? "the" : "the "}) {
    absl::StatusOr<Prompt> prompt = ReadPrompt(vocabulary, unit, text);
    if (prompt.ok() && prompt->unknown.empty()) return *std::move(prompt);
  }
  return {};
}

}  // namespace

absl::StatusOr<std::vector<diagnostics::Sample>> WriteSamples(ExecContext& context, Model& model,
                                                              const Vocabulary& vocabulary, TextUnit unit) {
  StateStore states(context);  // zero at the beginning
  Tensor logits;
  const auto read = [&](int32_t token) -> absl::StatusOr<absl::Span<const float>> {
    Tensor input = Tensor::Zeros(Shape({1, 1}), DType::kInt32);
    input.mutable_span<int32_t>()[0] = token;
    Tape tape(context, Mode::kEval);
    tape.set_states(&states);
    const Var output = model.Forward(tape.Input(ToDevice(context, input)));
    BITGRAD_ASSIGN_OR_RETURN(const Tensor* value, tape.Value(output));
    logits = ToHost(context, *value);
    BITGRAD_RETURN_IF_ERROR(states.Commit());
    return logits.span<float>();
  };
  const Prompt prompt = PromptOf(vocabulary, unit);
  diagnostics::Sample sample;
  size_t pieces = 0;
  BITGRAD_RETURN_IF_ERROR(GenerateText(
      vocabulary, unit, prompt.tokens,
      {.length = unit == TextUnit::kWords ? 60 : 300, .temperature = kTemperature, .seed = kSeed}, read,
      [&](absl::string_view piece) {
        std::string& text = pieces++ < prompt.tokens.size() ? *sample.mutable_prompt() : *sample.mutable_text();
        text.append(piece.data(), piece.size());
      }));
  return std::vector<diagnostics::Sample>{std::move(sample)};
}

}  // namespace bitgrad
