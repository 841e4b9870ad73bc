#include "bitgrad/runtime/check_sequences.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/program_checker.h"

namespace bitgrad {
namespace {

using packed::Blob;
using packed::Header;

template <typename... Args>
absl::Status Error(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

PackedValue FloatsOf(absl::Span<const int64_t> example) {
  PackedValue value;
  value.example = Shape(example);
  return value;
}
// A vector of floats for each example.
PackedValue VectorOf(int64_t width) { return FloatsOf({width}); }

}  // namespace

absl::Status CheckInputOfTokens(const packed::Input& input) {
  if (input.tokens() == 0) return absl::OkStatus();
  if (input.tokens() < 0 || input.tokens() > kMaxFeatures) {
    return Error("input.tokens: ", input.tokens(), " is not in 0 .. ", kMaxFeatures);
  }
  if (input.shape_size() != 1 || input.shape(0) != 1) return Error("input.shape: that of a token is [1]");
  if (input.has_pixels()) return Error("input.pixels: a model that takes tokens takes no pixels");
  if (input.time_steps() != 0) return Error("input.time_steps: a model that takes tokens has streams of any length");
  return absl::OkStatus();
}

absl::Status CheckTimeSteps(const Header& header) {
  const packed::Input& input = header.input();
  if (input.time_steps() == 0) return absl::OkStatus();
  std::vector<int64_t> example = {input.time_steps()};
  example.insert(example.end(), input.shape().begin(), input.shape().end());
  if (const absl::StatusOr<Shape> shape = CheckExampleShape(example); !shape.ok()) {
    return Error("input.time_steps: the example's ", shape.status().message());
  }
  if (header.states_size() == 0) {
    return Error("input.time_steps: there are no states, so only the last step would count");
  }
  return absl::OkStatus();
}

absl::StatusOr<PackedValue> CheckEmbedding(const Header& header, const packed::Embedding& embedding, const Blob& table,
                                           const PackedValue& x) {
  if (!x.is_tokens) return Error("operands: an embedding reads tokens, and this value is numbers");
  const int64_t tokens = header.input().tokens(), width = embedding.width();
  if (width < 1 || width > kMaxFeatures) return Error("embedding.width: ", width, " is not in 1 .. ", kMaxFeatures);
  const Encoding encoding = EncodingOf(table);
  const bool is_codes = IsCodes(table.kind());
  const Shape shape = ShapeOf(table), rows({tokens, width}), one_row({1, tokens * width});
  if ((!is_codes && table.kind() != Blob::FLOAT32) || (shape != rows && !(is_codes && shape == one_row))) {
    return Error("embedding.table: blob ", embedding.table(), " (", table.name(), ") is ",
                 Blob::Kind_Name(table.kind()), " ", shape.ToString(), ", no table of ", tokens,
                 " tokens (input.tokens) with ", width, " numbers each");
  }
  if (!is_codes) {
    if (embedding.scale() != 0) return Error("embedding.scale: a table of floats has none");
    return VectorOf(width);
  }
  if (!(std::isfinite(embedding.scale()) && embedding.scale() >= 0)) {
    return Error("embedding.scale is not finite and at least 0");
  }
  PackedValue value = VectorOf(width);
  value.encoding = encoding;
  value.scale = embedding.scale();
  return value;
}

absl::StatusOr<PackedValue> CheckSliceColumns(const packed::SliceColumns& slice, const PackedValue& x) {
  const int64_t cols = x.example.cols();
  // Subtracted rather than added: any numbers may stand in a file.
  if (slice.begin() < 0 || slice.size() < 1 || slice.begin() > cols || slice.size() > cols - slice.begin()) {
    return Error("slice_columns: ", slice.size(), " columns from ", slice.begin(),
                 " on do not lie in the last dimension of ", x.example.ToString());
  }
  std::vector<int64_t> dims(x.example.dims().begin(), x.example.dims().end());
  dims.back() = slice.size();
  return FloatsOf(dims);
}

absl::StatusOr<PackedValue> CheckState(const Header& header, const packed::State& state) {
  if (state.slot() < 0 || state.slot() >= header.states_size()) {
    return Error("state.slot: there is no slot ", state.slot(), ", the file has ", header.states_size());
  }
  return VectorOf(header.states(state.slot()).width());
}

absl::Status CheckStateSlots(const Header& header) {
  if (header.states_size() > 0 && header.input().tokens() == 0 && header.input().time_steps() == 0) {
    return Error("states: only a model that takes tokens (input.tokens) or time steps (input.time_steps) has them");
  }
  absl::flat_hash_set<absl::string_view> names;
  for (int slot = 0; slot < header.states_size(); ++slot) {
    const packed::StateSlot& state = header.states(slot);
    if (!names.insert(state.name()).second) return Error("states: the name '", state.name(), "' is there twice");
    if (state.width() < 1 || state.width() > kMaxFeatures) {
      return Error("state ", slot, " (", state.name(), "): width ", state.width(), " is not in 1 .. ", kMaxFeatures);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNextValues(const Header& header, const std::vector<PackedValue>& values) {
  std::vector<bool> is_read(static_cast<size_t>(header.states_size()), false);
  for (const packed::Instruction& instruction : header.instructions()) {
    if (instruction.has_state()) is_read[instruction.state().slot()] = true;
  }
  for (int slot = 0; slot < header.states_size(); ++slot) {
    const packed::StateSlot& state = header.states(slot);
    const auto error = [&](const auto&... what) { return Error("state ", slot, " (", state.name(), "): ", what...); };
    if (!is_read[slot]) return error("no instruction reads it");
    // Value 0 is the input, so that a `next` that was left out is an error.
    if (state.next() < 1 || state.next() >= static_cast<int>(values.size())) {
      return error("next: there is no value ", state.next(), " that an instruction makes");
    }
    const Shape& next = values[state.next()].example;
    if (next != Shape({state.width()})) {
      return error("next: value ", state.next(), " has examples of shape ", next.ToString(), ", not [", state.width(),
                   "]");
    }
  }
  return absl::OkStatus();
}

std::vector<int64_t> RunsOfInstructions(const Header& header) {
  const int64_t steps = std::max(1, header.input().time_steps());
  // Of each value, the input's among them.
  std::vector<int64_t> runs(static_cast<size_t>(header.instructions_size()) + 1, 1);
  for (const packed::StateSlot& state : header.states()) runs[state.next()] = steps;
  for (int i = header.instructions_size() - 1; i >= 0; --i) {
    for (const int operand : header.instructions(i).operands()) runs[operand] = std::max(runs[operand], runs[i + 1]);
  }
  runs.erase(runs.begin());
  return runs;
}

absl::Status CheckVocabulary(const Header& header) {
  if (header.text() == Header::NO_TEXT) return absl::OkStatus();
  if (!Header::Text_IsValid(header.text())) return Error("text: ", static_cast<int>(header.text()), " is unknown");
  const int tokens = header.input().tokens();
  if (tokens == 0) return Error("text: a model that reads text takes tokens (input.tokens)");
  if (header.class_count() != tokens) {
    return Error("class_count: the model takes ", tokens, " tokens (input.tokens) and predicts one of ",
                 header.class_count());
  }
  if (header.class_names_size() != tokens) {
    return Error("class_names: the vocabulary has ", header.class_names_size(), " tokens, the model ", tokens);
  }
  absl::flat_hash_set<absl::string_view> names;
  for (int token = 0; token < tokens; ++token) {
    if (!names.insert(header.class_names(token)).second) {
      return Error("class_names: token ", token, " ('", header.class_names(token), "') is there twice");
    }
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
