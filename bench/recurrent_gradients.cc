// Values and gradients of small float recurrent nets, as JSON, for bench/peers/lstm_gradients.py to compare with
// PyTorch's. For each kind of cell a net of two layers reads two pieces of a text, one tape each, and carries its
// states from the first to the second; gradients are the sums over both tapes.
//
//   {"cells": [{"cell": "lstm", "tokens": [[..], [..]], "targets": .., "logits": .., "losses": [.., ..],
//               "parameters": {"lstm1/bias": {"shape": [..], "value": [..], "gradient": [..]}, ..}}, ..]}
//
// Matrices are row-major. Tokens and targets of a piece are [steps, streams], its logits [steps * streams, vocabulary].

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/recurrent_net.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/losses.h"

namespace bitgrad {
namespace {

constexpr int64_t kVocabulary = 11, kEmbedding = 7, kSteps = 9, kStreams = 3;
constexpr int64_t kHidden[] = {6, 5};

std::string Numbers(const Tensor& tensor) {
  return absl::StrCat("[",
                      absl::StrJoin(tensor.span<float>(), ",",
                                    [](std::string* out, float x) { absl::StrAppendFormat(out, "%.9g", x); }),
                      "]");
}

std::string Ids(const Tensor& tensor) { return absl::StrCat("[", absl::StrJoin(tensor.span<int32_t>(), ","), "]"); }

Tensor RandomIds(const Shape& shape, uint32_t stream) {
  Tensor ids(shape, DType::kInt32);
  for (int64_t i = 0; i < ids.num_elements(); ++i) {
    ids.mutable_data<int32_t>()[i] =
        static_cast<int32_t>(UniformBelow({.seed = 1, .purpose = RngPurpose::kTest, .stream = stream}, i, kVocabulary));
  }
  return ids;
}

absl::StatusOr<std::string> Entry(const char* name, RecurrentCell cell) {
  ExecContext context({.threads = 1});
  ParameterStore store(/*seed=*/1);
  RecurrentNet net(store.Root(), {.cell = cell,
                                  .hidden = {kHidden[0], kHidden[1]},
                                  .classes = kVocabulary,
                                  .embedding = kEmbedding,
                                  .initial_range = 0.8f});
  BITGRAD_RETURN_IF_ERROR(store.status());
  // Biases that are zero would hide where they are added.
  for (size_t i = 0; i < store.parameters().size(); ++i) {
    Parameter& parameter = *store.parameters()[i];
    if (parameter.value.shape().rank() != 1) continue;
    const RngStream rng{.seed = 1, .purpose = RngPurpose::kTest, .stream = static_cast<uint32_t>(100 + i)};
    for (int64_t j = 0; j < parameter.value.num_elements(); ++j) {
      parameter.value.mutable_data<float>()[j] = Uniform(rng, j) - 0.5f;
    }
  }
  StateStore states(context);
  std::vector<std::string> tokens, targets, logits, losses, parameters;
  for (uint32_t piece = 0; piece < 2; ++piece) {
    const Tensor ids = RandomIds({kSteps, kStreams}, 2 * piece);
    const Tensor next = RandomIds({kSteps * kStreams}, 2 * piece + 1);
    Tape tape(context);
    tape.set_states(&states);
    const Var y = net.Forward(tape.Input(ids));
    const Var loss = SoftmaxCrossEntropy(y, next);
    BITGRAD_RETURN_IF_ERROR(tape.Backward(loss));
    BITGRAD_RETURN_IF_ERROR(states.Commit());
    BITGRAD_ASSIGN_OR_RETURN(const Tensor* value, tape.Value(y));
    logits.push_back(Numbers(*value));
    BITGRAD_ASSIGN_OR_RETURN(value, tape.Value(loss));
    losses.push_back(absl::StrFormat("%.9g", value->data<float>()[0]));
    tokens.push_back(Ids(ids));
    targets.push_back(Ids(next));
  }
  for (const Parameter* parameter : store.parameters()) {
    if (parameter->gradient.is_null() || parameter->gradient.shape() != parameter->value.shape()) {
      return absl::InternalError(absl::StrCat("parameter '", parameter->name, "' has no gradient of its own shape"));
    }
    parameters.push_back(absl::StrCat(
        "\"", parameter->name, "\": {\"shape\": [", absl::StrJoin(parameter->value.shape().dims(), ","),
        "], \"value\": ", Numbers(parameter->value), ", \"gradient\": ", Numbers(parameter->gradient), "}"));
  }
  const auto list = [](const std::vector<std::string>& items) {
    return absl::StrCat("[", absl::StrJoin(items, ", "), "]");
  };
  return absl::StrCat("{\"cell\": \"", name, "\", \"streams\": ", kStreams, ", \"tokens\": ", list(tokens),
                      ", \"targets\": ", list(targets), ", \"logits\": ", list(logits), ", \"losses\": ", list(losses),
                      ",\n  \"parameters\": {", absl::StrJoin(parameters, ",\n    "), "}}");
}

absl::Status Print() {
  const struct {
    const char* name;
    RecurrentCell cell;
  } cells[] = {{"lstm", RecurrentCell::kLstm},
               {"gru", RecurrentCell::kGru},
               {"rnn_tanh", RecurrentCell::kRnnTanh},
               {"rnn_relu", RecurrentCell::kRnnRelu}};
  std::vector<std::string> entries;
  for (const auto& cell : cells) {
    BITGRAD_ASSIGN_OR_RETURN(std::string entry, Entry(cell.name, cell.cell));
    entries.push_back(std::move(entry));
  }
  std::printf("{\"cells\": [\n%s\n]}\n", absl::StrJoin(entries, ",\n").c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main() {
  const absl::Status status = bitgrad::Print();
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
