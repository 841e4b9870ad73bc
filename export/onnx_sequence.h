// Models of tokens as ONNX graphs: a time step, and the loop over time around it.
//
// A time step takes a token of each stream, [batch], and the states that the one before has left, and gives logits and
// the next states. Where the dialect lets it be the body of a Scan, the graph takes all time steps at once.

#ifndef BITGRAD_EXPORT_ONNX_SEQUENCE_H_
#define BITGRAD_EXPORT_ONNX_SEQUENCE_H_

#include <string>

#include "absl/status/status.h"
#include "bitgrad/export/onnx_graph.h"
#include "bitgrad/export/onnx_values.h"

namespace bitgrad {

// Names of the inputs and outputs of a time step.
struct StepNames {
  std::string token, logits;
  std::string state, next_state;  // in front of a state's name
};

// The names of the whole graph.
StepNames OuterNames();

// ---- In a time step. REQUIRES: the model takes tokens.

void AddStepInputs(const StepNames& names, OnnxValues& values);
// Once all instructions are there.
void AddStepOutputs(const StepNames& names, OnnxValues& values);
// The nodes of instruction i.
absl::Status AddOnnxEmbedding(OnnxValues& values, int i, const std::string& token);
void AddOnnxState(OnnxValues& values, int i, const StepNames& names);

// ---- Around it

// The names inside of the loop, of which none is one of the outer graph.
StepNames InnerNames();
// Adds the inputs, the Scan over `body`, and the outputs of the model.
void AddScan(const PackedModel& model, OnnxGraph& body, OnnxGraph& graph);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_ONNX_SEQUENCE_H_
