#include "bitgrad/runtime/generate.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/runtime/interpreter.h"

namespace bitgrad {

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

absl::Status Generate(const PackedModel& model, ExecContext& context, absl::Span<const int32_t> prompt,
                      const GenerateOptions& options, absl::FunctionRef<void(absl::string_view)> write) {
  BITGRAD_ASSIGN_OR_RETURN(const Vocabulary vocabulary, VocabularyOf(model));
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Interpreter> interpreter, Interpreter::Create(model, context));
  std::vector<float> logits(static_cast<size_t>(model.result().features()));
  const auto read = [&](int32_t token) -> absl::StatusOr<absl::Span<const float>> {
    BITGRAD_RETURN_IF_ERROR(interpreter->RunTokens({&token, 1, 1}, logits.data()));
    return absl::MakeConstSpan(logits);
  };
  return GenerateText(vocabulary, UnitOf(model.header()), prompt, options, read, write);
}

}  // namespace bitgrad
