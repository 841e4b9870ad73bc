#include "bitgrad/zoo/golden.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/digits.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/runtime/generate.h"
#include "bitgrad/runtime/interpreter.h"

namespace bitgrad {
namespace {

constexpr uint64_t kSeed = 1;

std::vector<uint8_t> Pixels(int64_t features) {
  std::vector<uint8_t> pixels(static_cast<size_t>(kGoldenExamples * features));
  for (int64_t i = 0; i < kGoldenExamples; ++i) {
    const absl::Span<uint8_t> image(pixels.data() + i * features, static_cast<size_t>(features));
    if (features == kDigitSide * kDigitSide) {
      DrawDigit(kSeed, Split::kTest, i, image);
    } else {
      const RngStream rng{.seed = kSeed, .purpose = RngPurpose::kTest, .stream = static_cast<uint32_t>(i)};
      for (size_t j = 0; j < image.size(); ++j) image[j] = static_cast<uint8_t>(RandomWord(rng, j) >> 24);
    }
  }
  return pixels;
}

absl::StatusOr<std::vector<int32_t>> Tokens(const PackedModel& model) {
  BITGRAD_ASSIGN_OR_RETURN(const Vocabulary vocabulary, VocabularyOf(model));
  const TextUnit unit = UnitOf(model.header());
  const char* const text = unit == TextUnit::kWords ? "the king and the queen of the land" : "The king";
  BITGRAD_ASSIGN_OR_RETURN(Prompt prompt, ReadPrompt(vocabulary, unit, text));
  prompt.tokens.resize(kGoldenExamples);
  return prompt.tokens;
}

}  // namespace

absl::StatusOr<Tensor> GoldenLogits(const PackedModel& model, ExecContext& context) {
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, Interpreter::Create(model, context));
  if (model.header().input().tokens() > 0) {
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, Tokens(model));
    return interpreter->RunTokens({tokens.data(), kGoldenExamples, 1});
  }
  const int64_t features = model.input().num_elements();
  const std::vector<uint8_t> pixels = Pixels(features);
  return interpreter->RunPixels({pixels.data(), kGoldenExamples, features});
}

std::string LogitsText(const Tensor& logits) {
  std::string text;
  const int64_t columns = logits.shape().cols();
  for (int64_t i = 0; i < logits.num_elements(); ++i) {
    absl::StrAppendFormat(&text, "%a%c", static_cast<double>(logits.data<float>()[i]),
                          (i + 1) % columns == 0 ? '\n' : ' ');
  }
  return text;
}

double GoldenTolerance(const PackedModel& model, const Tensor& logits) {
  const int64_t float_layers = CostOf(model).float_layers;
  if (float_layers == 0) return 0;
  int64_t most_terms = 1;
  for (const packed::Instruction& instruction : model.header().instructions()) {
    const bool is_product = instruction.has_linear() || instruction.has_conv2d();
    if (!is_product) continue;
    const int id = instruction.has_linear() ? instruction.linear().weight() : instruction.conv2d().weight();
    const auto& shape = model.blob(id).shape();
    int64_t terms = 1;
    for (int d = 1; d < shape.size(); ++d) terms *= shape[d];
    most_terms = std::max(most_terms, terms);
  }
  float largest = 0;
  for (const float logit : logits.span<float>()) largest = std::max(largest, std::fabs(logit));
  return static_cast<double>(float_layers * most_terms) * 0x1p-23 * static_cast<double>(largest);
}

}  // namespace bitgrad
