#include "bitgrad/export/import_onnx.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/emit.h"
#include "bitgrad/export/fold_constants.h"
#include "bitgrad/export/fold_thresholds.h"
#include "bitgrad/export/import_graph.h"
#include "bitgrad/export/import_node.h"
#include "bitgrad/export/import_ops.h"
#include "bitgrad/export/import_steps.h"
#include "bitgrad/export/import_tensor.h"
#include "bitgrad/export/packed_header.h"
#include "bitgrad/export/quantize_tables.h"

namespace bitgrad {
namespace {

using onnx::GraphProto;
using onnx::ModelProto;
using onnx::ValueInfoProto;

// The versions of ONNX's own ops that were looked at. In these the ops that are read mean the same.
constexpr int64_t kLeastOpset = 7, kMostOpset = 23;

template <typename... Args>
absl::Status Error(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

bool IsOnnxDomain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

bool IsQuantizerDomain(const std::string& domain) {
  return domain == "qonnx.custom_op.general" || domain == "finn.custom_op.general" || domain == "onnx.brevitas";
}

absl::Status CheckModel(const ModelProto& model) {
  if (!model.has_graph() || model.graph().node_size() == 0) return Error("the model has no graph; it is no ONNX net");
  int64_t opset = 0;
  for (const onnx::OperatorSetIdProto& import : model.opset_import()) {
    if (IsOnnxDomain(import.domain())) opset = import.version();
  }
  if (opset < kLeastOpset || opset > kMostOpset) {
    return absl::UnimplementedError(absl::StrCat("the model is of ONNX opset ", opset, "; ", kLeastOpset, " to ",
                                                 kMostOpset,
                                                 " are read: export it with opset_version=17, or convert it "
                                                 "(onnx.version_converter)"));
  }
  return absl::OkStatus();
}

class Importer {
 public:
  Importer(ExecContext& context, const ModelProto& model, const ImportOptions& options)
      : graph_(model.graph()), is_ours_(model.producer_name() == "bitgrad"), options_(options), imported_(context) {}

  absl::StatusOr<program::Program> Run() {
    BITGRAD_RETURN_IF_ERROR(AddInitializers());
    BITGRAD_RETURN_IF_ERROR(AddInput());
    for (int i = 0; i < graph_.node_size(); ++i) BITGRAD_RETURN_IF_ERROR(AddNode(ImportNode(graph_.node(i), i)));
    BITGRAD_RETURN_IF_ERROR(SetResult());
    return std::move(imported_.program());
  }

  const Shape& input() const { return input_; }  // of the program
  int64_t batch() const { return input_.dim(0); }
  const std::vector<ImportedProduct>& products() { return imported_.products(); }

 private:
  absl::Status AddInitializers() {
    if (graph_.sparse_initializer_size() > 0) return Error("the graph has sparse initializers, which are not read");
    const onnx::NodeProto none;
    for (const onnx::TensorProto& initializer : graph_.initializer()) {
      absl::StatusOr<ImportTensor> tensor = ReadTensor(initializer);
      if (!tensor.ok()) {
        return absl::Status(tensor.status().code(),
                            absl::StrCat("initializer '", initializer.name(), "' ", tensor.status().message()));
      }
      Imported value;
      value.shape = tensor->shape;
      value.constant = std::make_shared<const ImportTensor>(*std::move(tensor));
      BITGRAD_RETURN_IF_ERROR(imported_.Set(ImportNode(none, 0), initializer.name(), std::move(value)));
    }
    return absl::OkStatus();
  }

  // Whether the graph takes the input as [N, H, W, C] and makes an image of it itself, maybe behind ops on single
  // elements.
  bool IsChannelsLast(const std::string& input) const {
    std::set<std::string> as_input = {input};  // values of the input's shape and order
    for (int i = 0; i < graph_.node_size(); ++i) {
      const ImportNode node(graph_.node(i), i);
      const onnx::NodeProto& proto = node.proto();
      const bool reads = std::any_of(proto.input().begin(), proto.input().end(),
                                     [&](const std::string& name) { return as_input.count(name) > 0; });
      if (!reads || proto.output_size() < 1) continue;
      if (node.op() == "Transpose" && node.Ints("perm") == std::vector<int64_t>{0, 3, 1, 2}) return true;
      if (node.op() != "Transpose" && FindImportOp(node.op()).is_pointwise) as_input.insert(proto.output(0));
    }
    return false;
  }

  // The input's shape with the batch: 1 where it is open.
  absl::StatusOr<Shape> InputShape(const ValueInfoProto& input) const {
    std::vector<int64_t> dims;
    bool open = !input.type().tensor_type().has_shape();
    for (const auto& dim : input.type().tensor_type().shape().dim()) {
      const bool is_known = dim.has_dim_value() && dim.dim_value() > 0;
      open |= !is_known && !dims.empty();
      dims.push_back(is_known ? dim.dim_value() : 1);
    }
    open |= dims.size() < 2;
    if (!options_.input_shape.empty()) {
      if (!open &&
          !std::equal(dims.begin() + 1, dims.end(), options_.input_shape.begin(), options_.input_shape.end())) {
        return Error("--input_shape=", absl::StrJoin(options_.input_shape, ","), " is not that of the input '",
                     input.name(), "', ", Shape(dims).ToString());
      }
      const int64_t batch = dims.empty() ? 1 : dims[0];
      dims = {batch};
      dims.insert(dims.end(), options_.input_shape.begin(), options_.input_shape.end());
    } else if (open) {
      return Error("the shape of the input '", input.name(),
                   "' is open; export the net with fixed shapes, or give the extents of one example, as in "
                   "--input_shape=1,28,28");
    }
    const Shape shape(dims);
    if (const absl::Status status = CheckImportedShape(shape); !status.ok() || shape.num_elements() == 0) {
      return Error("the input '", input.name(), "' has the shape ", shape.ToString(), ", which no packed model has");
    }
    return shape;
  }

  absl::Status AddInput() {
    const ValueInfoProto* input = nullptr;
    for (const ValueInfoProto& candidate : graph_.input()) {
      if (imported_.Find(candidate.name()) != nullptr) continue;  // with a value: an initializer
      if (input != nullptr) {
        return absl::UnimplementedError(absl::StrCat("the graph has several inputs, '", input->name(), "' and '",
                                                     candidate.name(), "'; a packed model has one"));
      }
      input = &candidate;
    }
    if (input == nullptr) return Error("the graph has no input");
    if (input->type().tensor_type().elem_type() != onnx::TensorProto::FLOAT) {
      return absl::UnimplementedError(absl::StrCat("the input '", input->name(), "' is not of floats"));
    }
    BITGRAD_ASSIGN_OR_RETURN(const Shape shape, InputShape(*input));
    Imported value = {.shape = shape};
    value.is_image = shape.rank() == 4 && !is_ours_ && !IsChannelsLast(input->name());
    input_ = value.is_image ? Shape({shape.dim(0), shape.dim(2), shape.dim(3), shape.dim(1)}) : shape;
    imported_.SetLayer("input");
    value.id = imported_.AddInput(input_);
    return imported_.Set(ImportNode(onnx::NodeProto(), 0), input->name(), std::move(value));
  }

  absl::Status AddNode(const ImportNode& node) {
    const onnx::NodeProto& proto = node.proto();
    if (!IsOnnxDomain(proto.domain()) && !IsQuantizerDomain(proto.domain())) {
      return node.Unsupported("ops of the domain '", proto.domain(), "' are not read; docs/importing.md lists what is");
    }
    ImportCall call = {.graph = imported_, .node = node, .inputs = {}};
    bool all_constant = true;
    for (const std::string& name : proto.input()) {
      Imported* const input = name.empty() ? nullptr : imported_.Find(name);
      if (!name.empty() && input == nullptr) {
        return node.Error("it reads '", name,
                          "', which no node before it makes: the graph has a cycle, is out of order, "
                          "or is damaged");
      }
      call.inputs.push_back(input);
      all_constant &= input == nullptr || input->is_constant();
    }
    if (proto.output_size() < 1) return node.Error("it has no output");
    Imported result;
    if (all_constant) {
      BITGRAD_ASSIGN_OR_RETURN(std::optional<ImportTensor> folded, FoldCall(call));
      if (!folded.has_value()) {
        return node.Unsupported("this op is not computed on constants; simplify the net (onnxsim)");
      }
      result.shape = folded->shape;
      result.constant = std::make_shared<const ImportTensor>(*std::move(folded));
    } else {
      const ImportOpInfo op = FindImportOp(node.op());
      if (op.function == nullptr) {
        return node.Unsupported(
            "this op is not read; docs/importing.md lists what is. Simplifying the net (onnxsim), "
            "or exporting it with fixed shapes and in evaluation mode, may help");
      }
      BITGRAD_RETURN_IF_ERROR(CheckOperands(call));
      imported_.SetLayer(node.name());
      for (Imported* input : call.inputs) {
        if (input != nullptr && !op.is_pointwise) BITGRAD_RETURN_IF_ERROR(MakeValue(imported_, *input));
      }
      BITGRAD_ASSIGN_OR_RETURN(result, op.function(call));
    }
    return imported_.Set(node, proto.output(0), std::move(result));
  }

  static absl::Status CheckOperands(const ImportCall& call) {
    const std::string& op = call.node.op();
    const ImportOp* const function = FindImportOp(op).function;
    const bool either_order = function == ImportArithmetic || function == ImportComparison || op == "Concat";
    if (call.inputs[0] == nullptr || (call.inputs[0]->is_constant() && !either_order)) {
      return call.node.Unsupported("its first operand is missing or a constant");
    }
    if (op == "Clip" || op == "DequantizeLinear" || op == "Identity") return absl::OkStatus();
    for (const Imported* input : call.inputs) {
      if (input != nullptr && input->pending.has_value()) {
        return call.node.Unsupported(
            "it reads the whole numbers of a QuantizeLinear; only Clip and DequantizeLinear "
            "do: products are read in the form that quantizes and dequantizes (QDQ)");
      }
    }
    return absl::OkStatus();
  }

  absl::Status SetResult() {
    if (graph_.output_size() != 1) {
      return absl::UnimplementedError(
          absl::StrCat("the graph has ", graph_.output_size(), " outputs; a packed model has one"));
    }
    const std::string& name = graph_.output(0).name();
    Imported* const result = imported_.Find(name);
    if (result == nullptr) return Error("the output '", name, "' is made by no node");
    if (result->is_constant()) return Error("the output '", name, "' does not depend on the input");
    if (result->pending.has_value() || (!result->is_image && !result->is_in_order())) {
      return absl::UnimplementedError(absl::StrCat(
          "the output '", name, "' is of whole numbers, or flattened from an image without a product behind"));
    }
    // What is a quantizer of floats is said as one; what is done to codes behind it stays floats.
    const bool quantizes = !result->stepped.empty() && !imported_.value(result->stepped[0].of).is_coded();
    if (result->id < 0 || quantizes) BITGRAD_RETURN_IF_ERROR(MakeValue(imported_, *result));
    // The result is an instruction's.
    if (imported_.value(result->id).as<program::Input>() != nullptr) return Error("the net computes nothing");
    imported_.program().set_result(result->id);
    return absl::OkStatus();
  }

  const GraphProto& graph_;
  const bool is_ours_;  // written by //export:onnx, whose inputs and results have the channels last
  const ImportOptions& options_;
  ImportGraph imported_;
  Shape input_;
};

std::string BitsOf(const Encoding& encoding) {
  if (encoding.kind == EncodingKind::kBinary || encoding.kind == EncodingKind::kTernary) return Name(encoding.kind);
  return absl::StrCat(Name(encoding.kind), " ", encoding.bits, encoding.bits == 1 ? " bit" : " bits");
}

ImportReport ReportOf(const program::Program& program, const std::vector<ImportedProduct>& products) {
  ImportReport report;
  const program::Uses uses(program);
  for (const ImportedProduct& product : products) {
    if (!uses.is_used(product.id)) continue;
    const program::Value &x = program.operand(product.id, 0), &w = program.operand(product.id, 1);
    ImportReport::Layer layer = {.name = product.layer, .packed = x.is_coded() && w.coded != nullptr, .detail = {}};
    if (layer.packed) {
      const std::vector<int>& readers = uses.consumers(product.id);
      const bool folds = !readers.empty() && program.value(readers[0]).as<program::Compare>() != nullptr;
      layer.detail = absl::StrCat("weights ", BitsOf(w.encoding), ", values ", BitsOf(x.encoding),
                                  folds ? ", thresholds" : ", sums");
    } else if (w.coded == nullptr) {
      layer.detail = product.float_weight;
    } else {
      layer.detail = absl::StrCat("the values that it takes are not quantized (weights ", BitsOf(w.encoding), ")");
    }
    report.layers.push_back(std::move(layer));
  }
  return report;
}

}  // namespace

int ImportReport::packed() const {
  return static_cast<int>(std::count_if(layers.begin(), layers.end(), [](const Layer& layer) { return layer.packed; }));
}

absl::StatusOr<ModelProto> ReadOnnx(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const absl::Span<const uint8_t> bytes = file.bytes();
  ModelProto model;
  if (bytes.empty() || bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !model.has_ir_version()) {
    return Error("'", path, "' is no ONNX model, or its end is missing");
  }
  return model;
}

absl::StatusOr<PackedModelWriter> ImportOnnx(ExecContext& context, const ModelProto& model,
                                             const ImportOptions& options, ImportReport* report) {
  BITGRAD_RETURN_IF_ERROR(CheckModel(model));
  Importer importer(context, model, options);
  BITGRAD_ASSIGN_OR_RETURN(program::Program program, importer.Run());
  // The passes of Freeze() (export/freeze.h).
  const FloatSize size = FloatSizeOf(program);
  FoldConstants(program);
  BITGRAD_RETURN_IF_ERROR(QuantizeTables(context, program));
  BITGRAD_RETURN_IF_ERROR(FoldThresholds(context, options.max_levels, program));
  ReplaceSteps(program);
  if (report != nullptr) *report = ReportOf(program, importer.products());
  BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, Emit(program, importer.batch()));
  const Shape result = program.value(program.result()).shape;
  SetHeader({.name = options.name, .data_set = options.data_set, .pixels = false}, size, importer.input(),
            result.num_elements() / result.dim(0), writer.header());
  return writer;
}

}  // namespace bitgrad
