#include "bitgrad/data/text_generation.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/text_reader.h"

namespace bitgrad {
namespace {

const char* EndOfLineOf(TextUnit unit) { return unit == TextUnit::kWords ? kEndOfLine : "\n"; }

// Uniform in [0, 1), of 53 bits: a vocabulary has tokens of small probability.
double UniformNumber(uint64_t seed, uint64_t number) {
  const RngStream random = {.seed = seed, .purpose = RngPurpose::kSynthesis};
  const uint64_t high = RandomWord(random, 2 * number), low = RandomWord(random, 2 * number + 1);
  return static_cast<double>((high << 32 | low) >> 11) * 0x1p-53;
}

// Writes tokens as text, piece by piece.
class TextWriter {
 public:
  TextWriter(const Vocabulary& vocabulary, TextUnit unit) : vocabulary_(vocabulary), unit_(unit) {}

  // What the token adds to the text.
  std::string Next(int32_t token) {
    const std::string& text = vocabulary_.tokens()[static_cast<size_t>(token)];
    if (unit_ == TextUnit::kCharacters) return text;
    const bool is_end = text == kEndOfLine;
    std::string piece = is_end ? "\n" : absl::StrCat(in_line_ ? " " : "", text);
    in_line_ = !is_end;
    return piece;
  }

  // What a text of words that does not end with a line needs.
  std::string End() const { return unit_ == TextUnit::kWords && in_line_ ? "\n" : ""; }

 private:
  const Vocabulary& vocabulary_;
  const TextUnit unit_;
  bool in_line_ = false;
};

}  // namespace

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

absl::Status GenerateText(const Vocabulary& vocabulary, TextUnit unit, absl::Span<const int32_t> prompt,
                          const GenerateOptions& options,
                          absl::FunctionRef<absl::StatusOr<absl::Span<const float>>(int32_t token)> read,
                          absl::FunctionRef<void(absl::string_view)> write) {
  if (options.length < 0) return absl::InvalidArgumentError(absl::StrCat("length ", options.length, " is negative"));
  if (!(options.temperature >= 0) || std::isinf(options.temperature)) {
    return absl::InvalidArgumentError(absl::StrCat("temperature ", options.temperature,
                                                   " is not a number of at least 0; 0 takes the likeliest ", "token"));
  }
  // A vocabulary that does not have the end of a line begins with something.
  BITGRAD_ASSIGN_OR_RETURN(absl::Span<const float> logits, read(std::max(0, vocabulary.Find(EndOfLineOf(unit)))));
  TextWriter text(vocabulary, unit);
  for (const int32_t token : prompt) {
    write(text.Next(token));
    BITGRAD_ASSIGN_OR_RETURN(logits, read(token));
  }
  for (int64_t i = 0; i < options.length; ++i) {
    BITGRAD_ASSIGN_OR_RETURN(const int32_t token, DrawToken(logits, options.temperature,
                                                            UniformNumber(options.seed, static_cast<uint64_t>(i))));
    write(text.Next(token));
    if (i + 1 == options.length) break;
    BITGRAD_ASSIGN_OR_RETURN(logits, read(token));
  }
  write(text.End());
  return absl::OkStatus();
}

}  // namespace bitgrad
