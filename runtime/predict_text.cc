#include "bitgrad/runtime/predict_text.h"

#include <chrono>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/data/texts.h"
#include "bitgrad/data/vocabulary.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/generate.h"

namespace bitgrad {

absl::StatusOr<Text> LoadTestText(const PackedModel& model, const std::string& data_dir) {
  const packed::Header& header = model.header();
  BITGRAD_ASSIGN_OR_RETURN(const Vocabulary vocabulary, VocabularyOf(model));
  if (FindTextDataset(header.data_set()) == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("packed model '", model.name(), "' is one of text and names data ", "set '", header.data_set(),
                     "', which is none; run it through ", "runtime/interpreter.h, or freeze a model trained on one"));
  }
  BITGRAD_ASSIGN_OR_RETURN(Text text, LoadText(header.data_set(), TextPart::kTest, {.data_dir = data_dir}, vocabulary));
  if (header.has_test_data()) {
    const std::string difference = DifferenceOf(header.test_data(), FingerprintOf(text));
    if (!difference.empty()) {
      std::printf("note: this is not the data that the model was tested on after training: %s\n", difference.c_str());
    }
  }
  if (text.unknown > 0) {
    std::printf("note: %lld of the %lld tokens of the text are unknown to the model and count as '%s'\n",
                static_cast<long long>(text.unknown), static_cast<long long>(text.size()), kUnknown);
  }
  return text;
}

absl::StatusOr<double> SumOfNats(const Tensor& logits, const Tensor& targets) {
  ExecContext host({.threads = 1});
  std::vector<SoftmaxRow> rows(static_cast<size_t>(logits.shape().dim(0)));
  float mean = 0;
  KernelsFor(Device::kCpu)
      .softmax_cross_entropy_forward(host, logits.matrix<float>(), targets.data<int32_t>(), rows.data(), &mean);
  BITGRAD_RETURN_IF_ERROR(host.status());
  return double{mean} * static_cast<double>(targets.num_elements());
}

absl::StatusOr<TextScore> ScoreText(Interpreter& interpreter, const BatchLoader& batches) {
  TextScore score;
  bool is_warm = false;
  EpochBatches epoch = batches.Epoch(0);
  for (const Batch& batch : epoch) {
    const ConstMatrixView<int32_t> tokens = batch.tokens.matrix<int32_t>();
    // The first batch is run twice: once to fill buffers and caches, before the clock starts.
    if (!is_warm) BITGRAD_RETURN_IF_ERROR(interpreter.RunTokens(tokens).status());
    if (!is_warm) interpreter.Reset();
    is_warm = true;
    const auto start = std::chrono::steady_clock::now();
    BITGRAD_ASSIGN_OR_RETURN(const Tensor logits, interpreter.RunTokens(tokens));
    score.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    BITGRAD_ASSIGN_OR_RETURN(const double nats, SumOfNats(logits, batch.targets));
    score.nats += nats;
    score.tokens += batch.targets.num_elements();
  }
  BITGRAD_RETURN_IF_ERROR(epoch.status());
  return score;
}

}  // namespace bitgrad
