#include "bitgrad/models/evaluate_text.h"

#include <memory>
#include <vector>

#include "absl/strings/str_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/data/texts.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/text_training_data.h"

namespace bitgrad {

TextUnit UnitOf(const checkpoint::Header& header) {
  return header.text() == checkpoint::CHARACTERS ? TextUnit::kCharacters : TextUnit::kWords;
}

absl::StatusOr<Vocabulary> VocabularyOf(const checkpoint::Header& header) {
  return Vocabulary::Of(std::vector<std::string>(header.class_names().begin(), header.class_names().end()));
}

absl::StatusOr<Text> LoadTestText(const Checkpoint& checkpoint, const std::string& data_dir) {
  const checkpoint::Header& header = checkpoint.header();
  const recipe::DataSet& data = header.recipe().data();
  if (FindTextDataset(data.name()) == nullptr) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "checkpoint '%s' is one of a model of text, but its recipe names data set '%s', which is none; evaluate the "
        "model where its data are known",
        checkpoint.path(), data.name()));
  }
  BITGRAD_ASSIGN_OR_RETURN(const Vocabulary vocabulary, VocabularyOf(header));
  BITGRAD_ASSIGN_OR_RETURN(
      Text text, LoadText(data.name(), TextPart::kTest, {.data_dir = data_dir, .limit = data.limit()}, vocabulary));
  const std::string difference = DifferenceOf(header.test_data(), FingerprintOf(text));
  if (header.has_test_data() && !difference.empty()) {
    absl::PrintF("note: this is not the test data of the checkpoint's run: %s\n", difference);
  }
  if (text.unknown > 0) {
    absl::PrintF("note: %d of the %d tokens of the text are unknown to the model and count as '%s'\n", text.unknown,
                 text.size(), kUnknown);
  }
  return text;
}

absl::StatusOr<TextEvaluation> EvaluateText(ExecContext& context, const Checkpoint& checkpoint, const Text& text) {
  const recipe::Recipe& recipe = checkpoint.header().recipe();
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, LoadModel(checkpoint));
  MoveToDevice(context, *bundle.store);
  const std::unique_ptr<Task> task = TextTaskOf(recipe, UnitOf(checkpoint.header()), text.vocabulary);
  BITGRAD_ASSIGN_OR_RETURN(const BatchLoader loader, TextEvaluationBatches(recipe, text));
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<MetricSum> metrics,
                           EvaluateMetrics(context, *bundle.model, *task, loader));
  return TextEvaluation{metrics[0].count, metrics[0].mean(), task->display()};
}

}  // namespace bitgrad
