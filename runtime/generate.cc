#include "bitgrad/runtime/generate.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/text_reader.h"
#include "bitgrad/runtime/interpreter.h"

namespace bitgrad {
namespace {

const char* EndOfLineOf(TextUnit unit) { return unit == TextUnit::kWords ? kEndOfLine : "\n"; }

// Uniform in [0, 1), of 53 bits: a vocabulary has tokens of small probability.
double UniformNumber(uint64_t seed, uint64_t number) {
  const RngStream random = {.seed = seed, .purpose = RngPurpose::kSynthesis};
  const uint64_t high = RandomWord(random, 2 * number), low = RandomWord(random, 2 * number + 1);
  return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
}

}  // namespace

absl::StatusOr<Vocabulary> VocabularyOf(const PackedModel& model) {
  const packed::Header& header = model.header();
  if (header.input().tokens() == 0 || header.text() == packed::Header::NO_TEXT) {
    return absl::FailedPreconditionError(absl::StrCat(
        "packed model '", model.name(),
        "' is no model of text: ", header.input().tokens() == 0 ? "it takes no tokens" : "it has no vocabulary",
        "; freeze the checkpoint of a model that was trained on data set 'words' or 'characters'"));
  }
  return Vocabulary::Of(std::vector<std::string>(header.class_names().begin(), header.class_names().end()));
}

TextUnit UnitOf(const packed::Header& header) {
  return header.text() == packed::Header::CHARACTERS ? TextUnit::kCharacters : TextUnit::kWords;
}

absl::StatusOr<Prompt> ReadPrompt(const Vocabulary& vocabulary, TextUnit unit, absl::string_view text) {
  Prompt prompt;
  const int32_t unknown = vocabulary.Find(kUnknown);
  BITGRAD_RETURN_IF_ERROR(
      ReadTokens(unit, "the prompt", text, [&](absl::string_view token, int64_t) -> absl::StatusOr<bool> {
        int32_t number = vocabulary.Find(token);
        if (number < 0) {
          if (std::find(prompt.unknown.begin(), prompt.unknown.end(), token) == prompt.unknown.end()) {
            prompt.unknown.emplace_back(token);
          }
          number = unknown;
        }
        if (number < 0) {
          return absl::InvalidArgumentError(absl::StrCat("the prompt has '", token, "', which the model's vocabulary ",
                                                         "lacks, and so does '", kUnknown, "'; leave it out"));
        }
        prompt.tokens.push_back(number);
        return true;
      }));
  // The reader ends the last line; the prompt goes on in it.
  if (unit == TextUnit::kWords && !prompt.tokens.empty() && !text.empty() && text.back() != '\n') {
    prompt.tokens.pop_back();
  }
  return prompt;
}

absl::StatusOr<int32_t> DrawToken(absl::Span<const float> logits, double temperature, double random) {
  const auto largest = std::max_element(logits.begin(), logits.end());
  for (const float logit : logits) {
    if (std::isnan(logit) || logit == INFINITY) {
      return absl::InvalidArgumentError("the model gives a NaN or an infinity; its parameters are damaged");
    }
  }
  if (temperature == 0) return static_cast<int32_t>(largest - logits.begin());
  const double top = *largest;
  double sum = 0;
  for (const float logit : logits) sum += std::exp((double{logit} - top) / temperature);
  // The last token with a share stands for what rounding leaves over.
  int32_t token = 0;
  double left = random * sum;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double share = std::exp((double{logits[i]} - top) / temperature);
    if (share == 0) continue;
    token = static_cast<int32_t>(i);
    left -= share;
    if (left < 0) break;
  }
  return token;
}

std::string TextWriter::Next(int32_t token) {
  const std::string& text = vocabulary_.tokens()[static_cast<size_t>(token)];
  if (unit_ == TextUnit::kCharacters) return text;
  const bool is_end = text == kEndOfLine;
  std::string piece = is_end ? "\n" : absl::StrCat(in_line_ ? " " : "", text);
  in_line_ = !is_end;
  return piece;
}

absl::Status Generate(const PackedModel& model, ExecContext& context, absl::Span<const int32_t> prompt,
                      const GenerateOptions& options, absl::FunctionRef<void(absl::string_view)> write) {
  if (options.length < 0) return absl::InvalidArgumentError(absl::StrCat("length ", options.length, " is negative"));
  if (!(options.temperature >= 0) || std::isinf(options.temperature)) {
    return absl::InvalidArgumentError(absl::StrCat("temperature ", options.temperature,
                                                   " is not a number of at least 0; 0 takes the likeliest ", "token"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const Vocabulary vocabulary, VocabularyOf(model));
  const TextUnit unit = UnitOf(model.header());
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Interpreter> interpreter, Interpreter::Create(model, context));
  std::vector<float> logits(static_cast<size_t>(model.result().features()));
  const auto read = [&](int32_t token) { return interpreter->RunTokens({&token, 1, 1}, logits.data()); };
  // A vocabulary that does not have the end of a line begins with something.
  BITGRAD_RETURN_IF_ERROR(read(std::max(0, vocabulary.Find(EndOfLineOf(unit)))));
  TextWriter text(vocabulary, unit);
  for (const int32_t token : prompt) {
    write(text.Next(token));
    BITGRAD_RETURN_IF_ERROR(read(token));
  }
  for (int64_t i = 0; i < options.length; ++i) {
    BITGRAD_ASSIGN_OR_RETURN(const int32_t token, DrawToken(logits, options.temperature,
                                                            UniformNumber(options.seed, static_cast<uint64_t>(i))));
    write(text.Next(token));
    if (i + 1 < options.length) BITGRAD_RETURN_IF_ERROR(read(token));
  }
  write(text.End());
  return absl::OkStatus();
}

}  // namespace bitgrad
