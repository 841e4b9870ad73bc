#include "bitgrad/export/onnx_sequence.h"

#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/onnx_codes.h"
#include "bitgrad/runtime/blob_codes.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

constexpr ImageLayout kLast = ImageLayout::kChannelsLast;
using Extent = OnnxGraph::Extent;

const Extent kBatch = {.name = "batch"}, kSteps = {.name = "steps"};

}  // namespace

StepNames OuterNames() { return {"input", "logits", "state:", "next_state:"}; }
StepNames InnerNames() { return {"step:token", "step:logits", "step:state:", "step:next_state:"}; }

void AddStepInputs(const StepNames& names, OnnxValues& values) {
  OnnxGraph& graph = values.graph();
  for (const packed::StateSlot& slot : values.model().header().states()) {
    graph.AddInput(names.state + slot.name(), onnx::TensorProto::FLOAT, {kBatch, {slot.width()}});
  }
  graph.AddInput(names.token, onnx::TensorProto::INT64, {kBatch});
}

void AddStepOutputs(const StepNames& names, OnnxValues& values) {
  OnnxGraph& graph = values.graph();
  const packed::Header& header = values.model().header();
  for (const packed::StateSlot& slot : header.states()) {
    const std::string name = names.next_state + slot.name();
    graph.NamedNode("Identity", {values.Floats(slot.next(), kLast)}, name);
    graph.AddOutput(name, onnx::TensorProto::FLOAT, {kBatch, {slot.width()}});
  }
  graph.NamedNode("Identity", {values.Floats(header.instructions_size(), kLast)}, names.logits);
  std::vector<Extent> shape = {kBatch};
  for (const int64_t extent : values.model().result().example.dims()) shape.push_back({extent});
  graph.AddOutput(names.logits, onnx::TensorProto::FLOAT, shape);
}

absl::Status AddOnnxEmbedding(OnnxValues& values, int i, const std::string& token) {
  OnnxGraph& graph = values.graph();
  const packed::Embedding& embedding = values.instruction(i).embedding();
  const packed::Blob& blob = values.model().blob(embedding.table());
  const Encoding encoding = EncodingOf(blob);
  const std::vector<int64_t> shape = {values.model().header().input().tokens(), embedding.width()};
  BITGRAD_RETURN_IF_ERROR(CheckCanSay(values, i, "rows of the table", encoding));
  const std::string hint = values.Hint(i, "table");
  const std::string table =
      encoding.is_integer() ? ConstantCodes(values, hint, encoding, shape, CodesOf(values.model(), embedding.table()))
                            : graph.Floats(hint, shape, values.model().floats(embedding.table()));
  const std::string row = graph.Node("Gather", {table, token}, values.Hint(i, "row"), {IntAttribute("axis", 0)});
  if (encoding.is_integer()) {
    values.SetCodes(i + 1, kLast, row);
  } else {
    values.SetFloats(i + 1, kLast, row);
  }
  return absl::OkStatus();
}

void AddOnnxState(OnnxValues& values, int i, const StepNames& names) {
  const int slot = values.instruction(i).state().slot();
  values.SetFloats(i + 1, kLast, names.state + values.model().header().states(slot).name());
}

void AddScan(const PackedModel& model, OnnxGraph& body, OnnxGraph& graph) {
  const packed::Header& header = model.header();
  const StepNames names = OuterNames();
  graph.AddInput(names.token, onnx::TensorProto::INT64, {kSteps, kBatch});
  onnx::NodeProto scan;
  scan.set_op_type("Scan");
  scan.set_name("scan");
  for (const packed::StateSlot& slot : header.states()) {
    graph.AddInput(names.state + slot.name(), onnx::TensorProto::FLOAT, {kBatch, {slot.width()}});
    scan.add_input(names.state + slot.name());
    scan.add_output(names.next_state + slot.name());
  }
  scan.add_input(names.token);
  scan.add_output(names.logits);
  *scan.add_attribute() = IntAttribute("num_scan_inputs", 1);
  onnx::AttributeProto& attribute = *scan.add_attribute();
  attribute.set_name("body");
  attribute.set_type(onnx::AttributeProto::GRAPH);
  body.proto().set_name("step");
  attribute.mutable_g()->Swap(&body.proto());
  *graph.proto().add_node() = std::move(scan);

  std::vector<Extent> shape = {kSteps, kBatch};
  for (const int64_t extent : model.result().example.dims()) shape.push_back({extent});
  graph.AddOutput(names.logits, onnx::TensorProto::FLOAT, shape);
  for (const packed::StateSlot& slot : header.states()) {
    graph.AddOutput(names.next_state + slot.name(), onnx::TensorProto::FLOAT, {kBatch, {slot.width()}});
  }
}

}  // namespace bitgrad
