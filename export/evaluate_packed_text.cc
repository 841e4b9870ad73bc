#include "bitgrad/export/evaluate_packed_text.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/text_training_data.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/predict_text.h"

namespace bitgrad {
namespace {

int64_t ArgMax(absl::Span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

// The graph's logits for tokens [steps, streams], in the host's memory.
absl::StatusOr<Tensor> GraphLogits(ExecContext& context, Model& model, StateStore& states, const Tensor& tokens) {
  Tape tape(context, Mode::kEval);
  tape.set_states(&states);
  const Var logits = model.Forward(tape.Input(ToDevice(context, tokens)));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor* value, tape.Value(logits));
  Tensor result = ToHost(context, *value);
  BITGRAD_RETURN_IF_ERROR(states.Commit());
  return result;
}

}  // namespace

double LogitDifference(float a, float b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double difference = std::abs(double{a} - double{b});
  return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
}

absl::StatusOr<TextComparison> CompareOnText(ExecContext& context, const Checkpoint& checkpoint,
                                             const PackedModel& packed, const Text& text) {
  if (packed.header().input().tokens() == 0) {
    return absl::FailedPreconditionError(absl::StrCat("packed model '", packed.name(),
                                                      "' is one of images, the checkpoint's is one of text; freeze ",
                                                      "this checkpoint"));
  }
  if (packed.header().input().tokens() != text.vocabulary) {
    return absl::FailedPreconditionError(
        absl::StrCat("packed model '", packed.name(), "' takes ", packed.header().input().tokens(),
                     " different tokens, the checkpoint's ", text.vocabulary, "; freeze this checkpoint again"));
  }
  // A packed model may have no vocabulary; one that has is the whole of it.
  const auto& known = checkpoint.header().class_names();
  for (int i = 0; i < std::min(known.size(), packed.header().class_names_size()); ++i) {
    if (packed.header().class_names(i) == known[i]) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "packed model '", packed.name(), "' has another vocabulary: its token ", i, " is '",
        packed.header().class_names(i), "', the checkpoint's is '", known[i], "'; freeze this checkpoint again"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, LoadModel(checkpoint));
  MoveToDevice(context, *bundle.store);
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Interpreter> interpreter, Interpreter::Create(packed, context));
  BITGRAD_ASSIGN_OR_RETURN(const BatchLoader loader, TextEvaluationBatches(checkpoint.header().recipe(), text));
  StateStore states(context);
  TextComparison result;
  EpochBatches batches = loader.Epoch(0);
  for (const Batch& batch : batches) {
    BITGRAD_ASSIGN_OR_RETURN(const Tensor graph, GraphLogits(context, *bundle.model, states, batch.tokens));
    BITGRAD_ASSIGN_OR_RETURN(const Tensor frozen, interpreter->RunTokens(batch.tokens.matrix<int32_t>()));
    if (frozen.shape() != graph.shape()) {
      return absl::FailedPreconditionError(absl::StrCat("packed model '", packed.name(), "' gives ",
                                                        frozen.shape().ToString(), " where the checkpoint's gives ",
                                                        graph.shape().ToString(), "; freeze this checkpoint again"));
    }
    BITGRAD_ASSIGN_OR_RETURN(const double graph_nats, SumOfNats(graph, batch.targets));
    BITGRAD_ASSIGN_OR_RETURN(const double packed_nats, SumOfNats(frozen, batch.targets));
    result.graph_nats += graph_nats;
    result.packed_nats += packed_nats;
    result.tokens += batch.targets.num_elements();
    const int64_t classes = graph.shape().cols();
    for (int64_t i = 0; i < graph.shape().dim(0); ++i) {
      const auto a = graph.span<float>().subspan(i * classes, classes);
      const auto b = frozen.span<float>().subspan(i * classes, classes);
      result.disagreements += ArgMax(a) != ArgMax(b);
      for (int64_t j = 0; j < classes; ++j) {
        result.max_logit_difference = std::max(result.max_logit_difference, LogitDifference(a[j], b[j]));
      }
    }
  }
  BITGRAD_RETURN_IF_ERROR(batches.status());
  result.graph_nats /= static_cast<double>(result.tokens);
  result.packed_nats /= static_cast<double>(result.tokens);
  return result;
}

}  // namespace bitgrad
