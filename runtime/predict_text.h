// What predict does with a model of text.

#ifndef BITGRAD_RUNTIME_PREDICT_TEXT_H_
#define BITGRAD_RUNTIME_PREDICT_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/text.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// The test text of the model's data set, in the model's tokens. Says so on stdout where it is not the text that the
// model was tested on after training. FailedPrecondition for a model of other data; else errors are LoadText()'s.
absl::StatusOr<Text> LoadTestText(const PackedModel& model, const std::string& data_dir);

struct TextScore {
  int64_t tokens = 0;
  double nats = 0;     // the sum of the tokens' negative log-likelihoods
  double seconds = 0;  // of the model alone
};

// Lets the model predict each token of the batches of a text (data/text_batches.h), all of them once.
absl::StatusOr<TextScore> ScoreText(Interpreter& interpreter, const BatchLoader& batches);

// The sum over all rows of -log softmax(logits[i])[targets[i]].
absl::StatusOr<double> SumOfNats(const Tensor& logits, const Tensor& targets);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PREDICT_TEXT_H_
