#include "bitgrad/models/recurrent_net.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/embedding.h"
#include "bitgrad/models/layers/sequence.h"

namespace bitgrad {
namespace {

const char* LayerName(RecurrentCell cell) {
  switch (cell) {
    case RecurrentCell::kLstm: return "lstm";
    case RecurrentCell::kGru: return "gru";
    default: return "rnn";
  }
}

float TableRange(const RecurrentNetOptions& options) {
  if (options.initial_range.has_value()) return *options.initial_range;
  return options.tied ? static_cast<float>(1 / std::sqrt(static_cast<double>(options.embedding))) : 1.0f;
}

}  // namespace

RecurrentNet::RecurrentNet(const Scope& scope, const RecurrentNetOptions& options)
    : time_steps_(std::max<int64_t>(1, options.image_steps)) {
  if (options.hidden.empty()) {
    scope.ReportError("recurrent net: hidden is empty; it takes one layer at least");
    return;
  }
  const bool reads_tokens = options.image_steps == 0;
  Parameter* table = nullptr;
  if (reads_tokens) {
    const bool quantized = !options.embedding_quantizer.is_identity();
    const EmbeddingOptions embedding{.vocabulary = options.classes,
                                     .width = options.embedding,
                                     .range = TableRange(options),
                                     .clip = quantized ? options.clip : 0};
    table = &layers_.Add<EmbeddingLayer>(scope / "embedding", embedding).table();
  } else {
    layers_.Add<ImagesAsSequences>(scope / "steps", options.image_steps, options.step_features);
  }
  int64_t in = reads_tokens ? options.embedding : options.step_features;
  for (size_t i = 0; i < options.hidden.size(); ++i) {
    const bool first = i == 0, last = i + 1 == options.hidden.size();
    const Scope layer = scope / absl::StrCat(LayerName(options.cell), i + 1);
    layers_.Add<Recurrent>(
        layer, RecurrentOptions{.cell = options.cell,
                                .in = in,
                                .hidden = options.hidden[i],
                                .input = first && reads_tokens ? options.embedding_quantizer : options.input,
                                .state = options.state,
                                .input_weight = options.input_weight,
                                .hidden_weight = options.hidden_weight,
                                .gate = options.gate,
                                .gradient = options.gradient,
                                .clip = options.clip,
                                .initial_range = options.initial_range,
                                .forget_bias = options.forget_bias,
                                .input_keep = options.keep,
                                .carries_state = reads_tokens,
                                .last_only = last && !reads_tokens});
    in = options.hidden[i];
  }
  if (reads_tokens) layers_.Add<StepsAsRows>();
  layers_.Add<Dense>(scope / "output", DenseOptions{.in = in,
                                                    .out = options.classes,
                                                    .input = options.output,
                                                    .weight = options.output_weight,
                                                    .gradient = options.gradient,
                                                    .bias = true,
                                                    .clip = options.clip,
                                                    .input_keep = options.keep,
                                                    .initial_range = options.initial_range,
                                                    .tied_weight = options.tied ? table : nullptr});
}

}  // namespace bitgrad
