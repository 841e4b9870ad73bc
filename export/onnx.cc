#include "bitgrad/export/onnx.h"

#include <exception>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/onnx_graph.h"
#include "bitgrad/export/onnx_metadata.h"
#include "bitgrad/export/onnx_sequence.h"
#include "bitgrad/export/onnx_steps.h"
#include "bitgrad/export/onnx_values.h"
#include "onnx/checker.h"

namespace bitgrad {
namespace {

using packed::Instruction;

constexpr absl::string_view kNames[] = {"plain", "qonnx", "qcdq"};

absl::Status AddInstruction(OnnxValues& values, int i, const StepNames& names) {
  switch (values.instruction(i).kind_case()) {
    case Instruction::kQuantize: return AddOnnxQuantize(values, i);
    case Instruction::kLinear: return AddOnnxLinear(values, i);
    case Instruction::kConv2D: return AddOnnxConv2d(values, i);
    case Instruction::kTapConv2D: return AddOnnxTapConv2d(values, i);
    case Instruction::kMaxPool:
    case Instruction::kAveragePool: return AddOnnxPool(values, i);
    case Instruction::kShiftAdd:
    case Instruction::kShiftConcat: return AddOnnxShifts(values, i);
    case Instruction::kFixedPoint: return AddOnnxFixedPoint(values, i);
    case Instruction::kEmbedding: return AddOnnxEmbedding(values, i, names.token);
    case Instruction::kState: AddOnnxState(values, i, names); return absl::OkStatus();
    default: return AddOnnxElementwise(values, i);
  }
}

absl::Status AddInstructions(OnnxValues& values, const StepNames& names) {
  for (int i = 0; i < values.model().header().instructions_size(); ++i) {
    BITGRAD_RETURN_IF_ERROR(AddInstruction(values, i, names));
  }
  return absl::OkStatus();
}

// One run over a batch of examples.
absl::Status AddExamples(const PackedModel& model, OnnxDialect dialect, OnnxGraph& graph) {
  const StepNames names = OuterNames();
  OnnxValues values(model, dialect, graph);
  const auto shape_of = [](const PackedValue& value) {
    std::vector<OnnxGraph::Extent> shape = {{.name = "batch"}};
    for (const int64_t extent : value.example.dims()) shape.push_back({extent});
    return shape;
  };
  graph.AddInput(names.token, onnx::TensorProto::FLOAT, shape_of(model.value(0)));
  values.SetFloats(0, ImageLayout::kChannelsLast, names.token);
  BITGRAD_RETURN_IF_ERROR(AddInstructions(values, names));
  const int result = model.header().instructions_size();
  graph.NamedNode("Identity", {values.Floats(result, ImageLayout::kChannelsLast)}, names.logits);
  graph.AddOutput(names.logits, onnx::TensorProto::FLOAT, shape_of(model.result()));
  return absl::OkStatus();
}

absl::Status AddStep(const PackedModel& model, OnnxDialect dialect, const StepNames& names, OnnxGraph& graph) {
  OnnxValues values(model, dialect, graph);
  AddStepInputs(names, values);
  BITGRAD_RETURN_IF_ERROR(AddInstructions(values, names));
  AddStepOutputs(names, values);
  return absl::OkStatus();
}

// QONNX's executor runs its own nodes in no loop, so that its graph is a single time step.
absl::Status AddTokens(const PackedModel& model, OnnxDialect dialect, OnnxGraph& graph) {
  if (dialect == OnnxDialect::kQonnx) return AddStep(model, dialect, OuterNames(), graph);
  OnnxGraph body;
  BITGRAD_RETURN_IF_ERROR(AddStep(model, dialect, InnerNames(), body));
  AddScan(model, body, graph);
  return absl::OkStatus();
}

absl::Status Check(const onnx::ModelProto& proto) {
  if (proto.ByteSizeLong() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the ONNX model would take ", proto.ByteSizeLong(), " bytes; a file holds 2 GiB"));
  }
  try {
    onnx::checker::check_model(proto);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("ONNX's checker refuses the model: ", error.what()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view Name(OnnxDialect dialect) { return kNames[static_cast<int>(dialect)]; }

absl::StatusOr<OnnxDialect> ParseOnnxDialect(absl::string_view text) {
  for (const OnnxDialect dialect : {OnnxDialect::kPlain, OnnxDialect::kQonnx, OnnxDialect::kQcdq}) {
    if (text == Name(dialect)) return dialect;
  }
  const std::vector<std::string> names(std::begin(kNames), std::end(kNames));
  return absl::InvalidArgumentError(
      absl::StrCat("unknown dialect '", text, "'", DidYouMean(text, names), "; there are ", kOnnxDialects));
}

absl::StatusOr<onnx::ModelProto> ToOnnx(const PackedModel& model, const OnnxOptions& options) {
  if (model.time_steps() > 0) {
    return absl::UnimplementedError(
        absl::StrCat("packed model '", model.name(), "' reads an example in ", model.time_steps(),
                     " time steps, for which the export to ONNX has no form; run it with //runtime:predict or through ",
                     "runtime/c_api.h"));
  }
  OnnxGraph graph;
  const bool takes_tokens = model.header().input().tokens() > 0;
  BITGRAD_RETURN_IF_ERROR(takes_tokens ? AddTokens(model, options.dialect, graph)
                                       : AddExamples(model, options.dialect, graph));
  onnx::ModelProto proto;
  SetOnnxMetadata(model.header(), options.dialect, proto);
  graph.proto().set_name(model.header().name().empty() ? "bitgrad" : model.header().name());
  proto.mutable_graph()->Swap(&graph.proto());
  BITGRAD_RETURN_IF_ERROR(Check(proto));
  return proto;
}

}  // namespace bitgrad
