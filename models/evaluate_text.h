// What //models:evaluate does with a model of text.

#ifndef BITGRAD_MODELS_EVALUATE_TEXT_H_
#define BITGRAD_MODELS_EVALUATE_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/text.h"
#include "bitgrad/data/vocabulary.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/metric_display.h"

namespace bitgrad {

// What a checkpoint of a model of text says of its tokens. REQUIRES: header.text() is not NO_TEXT.
TextUnit UnitOf(const checkpoint::Header& header);
absl::StatusOr<Vocabulary> VocabularyOf(const checkpoint::Header& header);

// The test text of the checkpoint's data set, in the model's tokens. Says so on stdout where it is not the text that
// the checkpoint's run was tested on. Errors are LoadText()'s.
absl::StatusOr<Text> LoadTestText(const Checkpoint& checkpoint, const std::string& data_dir);

struct TextEvaluation {
  int64_t tokens = 0;
  double nats = 0;  // per token
  MetricDisplay display = MetricDisplay::kPerplexity;
};

// How well the checkpoint's model predicts the text, read in streams as training reads it for validation: the numbers
// are those of the run's last line, bit for bit with the same number of threads.
absl::StatusOr<TextEvaluation> EvaluateText(ExecContext& context, const Checkpoint& checkpoint, const Text& text);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_EVALUATE_TEXT_H_
