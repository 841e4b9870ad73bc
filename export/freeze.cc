#include "bitgrad/export/freeze.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/core/version.h"
#include "bitgrad/export/fold.h"
#include "bitgrad/export/image_nodes.h"
#include "bitgrad/export/tape_graph.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/ops/quantize_operand.h"

namespace bitgrad {
namespace {

class Freezer {
 public:
  Freezer(ExecContext& context, const TapeGraph& graph, int64_t batch)
      : context_(context), graph_(graph), batch_(batch), values_(graph.size(), kNoValue) {}

  absl::StatusOr<PackedModelWriter> Run() {
    values_[graph_.input()] = kInputValue;
    for (int i = 0; i <= graph_.output(); ++i) {
      if (!graph_.is_used(i) || values_[i] != kNoValue || graph_.is_constant(i)) continue;
      BITGRAD_RETURN_IF_ERROR(Emit(i));
    }
    return std::move(writer_);
  }

 private:
  static constexpr int kNoValue = -1;

  absl::Status Error(const Tape::Node& node, absl::string_view what) const {
    return absl::UnimplementedError(absl::StrCat("freeze: layer '", node.layer, "': ", node.descriptor.op, " ", what));
  }

  absl::Status Emit(int i);
  absl::Status AddProduct(const Tape::Node& node, const Shape& weight_rows, int& x, LinearSpec& spec,
                          Encoding& input_encoding, Encoding& weight_encoding);
  absl::Status AddThresholds(int i, const FoldChain& chain, const Encoding& input, const Encoding& weight, int64_t k,
                             LinearSpec& spec, int& pool_flips);
  absl::Status EmitLinear(int i);
  absl::Status EmitConv2d(int i);
  absl::Status EmitArithmetic(int i, Binary op);
  absl::StatusOr<int> Constant(int i) { return Constant(i, graph_.node(i).shape); }
  absl::StatusOr<int> Constant(int i, const Shape& shape);
  absl::Status CheckFinite(int i) const;

  ExecContext& context_;
  const TapeGraph& graph_;
  const int64_t batch_;
  std::vector<int> values_;       // the value id of each node in the packed model
  std::set<int> bits_;            // packed values that are bits of thresholds
  std::set<int> quantized_;       // packed values that are codes of an op that quantizes
  std::map<int, int> constants_;  // the blob of each constant node that has been added
  PackedModelWriter writer_;
};

std::string NameOf(const Tape::Node& node, int i) {
  return node.parameter != nullptr ? node.parameter->name : absl::StrCat("constant", i);
}

absl::Status Freezer::CheckFinite(int i) const {
  const Tape::Node& node = graph_.node(i);
  for (const float value : graph_.constant(i).span<float>()) {
    if (std::isfinite(value)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("freeze: layer '", node.layer, "': '", NameOf(node, i),
                     "' has a NaN or an infinity; the parameters are damaged or training diverged"));
  }
  return absl::OkStatus();
}

// The blob of a constant, which is added to the model when it is used first.
absl::StatusOr<int> Freezer::Constant(int i, const Shape& shape) {
  const Tape::Node& node = graph_.node(i);
  if (!graph_.is_constant(i)) return Error(node, "has to be a parameter here");
  if (const auto known = constants_.find(i); known != constants_.end()) return known->second;
  BITGRAD_RETURN_IF_ERROR(CheckFinite(i));
  const int blob = writer_.AddFloats(NameOf(node, i), shape, graph_.constant(i).span<float>());
  constants_.emplace(i, blob);
  return blob;
}

// What linear and conv2d share: adds the weight, sets weight and scale of `spec`, and returns the encodings of both
// operands.
absl::Status Freezer::AddProduct(const Tape::Node& node, const Shape& weight_rows, int& x, LinearSpec& spec,
                                 Encoding& input_encoding, Encoding& weight_encoding) {
  const int w = node.inputs[1];
  if (!graph_.is_constant(w)) return Error(node, "has a weight that is computed");
  BITGRAD_ASSIGN_OR_RETURN(const Quantizer input,
                           ParseQuantizer(node.descriptor.Get<std::string>("input_quantizer", "identity")));
  BITGRAD_ASSIGN_OR_RETURN(const Quantizer weight,
                           ParseQuantizer(node.descriptor.Get<std::string>("weight_quantizer", "identity")));
  if (input.statistic() != Statistic::kNone) {
    return Error(node, absl::StrCat("has input quantizer '", input.ToString(), "', whose scale depends on each batch"));
  }
  x = values_[node.inputs[0]];
  if (input.is_identity() ? quantized_.count(x) > 0 : bits_.count(x) == 0) {
    x = writer_.AddQuantize(node.layer, x, {.quantizer = input});
  }
  const Tape::Node& latent = graph_.node(w);
  BITGRAD_RETURN_IF_ERROR(CheckFinite(w));
  const QuantizedOperand codes =
      QuantizeOperand(context_, weight, QuantizerRole::kWeight, graph_.constant(w).Alias(weight_rows), RngStream(),
                      /*surrogate=*/nullptr);
  spec.scale = input.scale(0) * codes.scale;
  const std::string name = NameOf(latent, w);
  if (!codes.encoding.is_integer()) {
    BITGRAD_ASSIGN_OR_RETURN(spec.weight, Constant(w, weight_rows));
  } else if (codes.bits != nullptr) {
    spec.weight = writer_.AddBits(name, codes.bits->view());
  } else {
    const Tensor floats = FloatCodes(context_, codes, weight_rows);
    spec.weight = writer_.AddCodes(name, codes.encoding, floats.matrix<float>());
  }
  input_encoding = input.encoding();
  weight_encoding = codes.encoding;
  return absl::OkStatus();
}

// Folds the chain behind node i, whose sums have k terms, into thresholds, and adds these to the model.
absl::Status Freezer::AddThresholds(int i, const FoldChain& chain, const Encoding& input, const Encoding& weight,
                                    int64_t k, LinearSpec& spec, int& pool_flips) {
  const Tape::Node& node = graph_.node(i);
  const int64_t limit = k * input.max_code() * weight.max_code();
  BITGRAD_ASSIGN_OR_RETURN(Thresholds thresholds,
                           FoldThresholds(context_, graph_, i, chain, spec.scale, static_cast<int32_t>(limit)));
  spec.thresholds = writer_.AddInts(absl::StrCat(node.layer, "/thresholds"), 1, thresholds.threshold);
  if (chain.pool >= 0 && chain.pool_is_first) {
    pool_flips = writer_.AddFlags(absl::StrCat(node.layer, "/pool_flips"), thresholds.flip);
    std::fill(thresholds.flip.begin(), thresholds.flip.end(), uint8_t{0});
  }
  spec.flips = writer_.AddFlags(absl::StrCat(node.layer, "/flips"), thresholds.flip);
  // The folded nodes have no value of their own.
  for (int folded : chain.nodes) values_[folded] = kInputValue;
  return absl::OkStatus();
}

absl::Status Freezer::EmitLinear(int i) {
  const Tape::Node& node = graph_.node(i);
  LinearSpec spec;
  Encoding input, weight;
  const Shape& weight_shape = graph_.node(node.inputs[1]).shape;
  int x;
  BITGRAD_RETURN_IF_ERROR(AddProduct(node, weight_shape, x, spec, input, weight));
  int result = i;
  if (DotIsExact(input, weight, weight_shape.cols())) {
    if (const FoldChain chain = FindFoldChain(graph_, i); chain.folds) {
      int no_pool = -1;
      BITGRAD_RETURN_IF_ERROR(AddThresholds(i, chain, input, weight, weight_shape.cols(), spec, no_pool));
      if (!chain.nodes.empty()) result = chain.nodes.back();
    }
  }
  values_[result] = values_[i] = writer_.AddLinear(node.layer, x, spec);
  if (spec.thresholds >= 0) bits_.insert(values_[result]);
  return absl::OkStatus();
}

absl::Status Freezer::EmitConv2d(int i) {
  const Tape::Node& node = graph_.node(i);
  const Shape& x = graph_.node(node.inputs[0]).shape;
  const Shape& w = graph_.node(node.inputs[1]).shape;
  ConvSpec spec;
  spec.geometry = ConvGeometryOf(node, x, w);
  Encoding input, weight;
  const int64_t k = spec.geometry.patch_size();
  int operand;
  BITGRAD_RETURN_IF_ERROR(AddProduct(node, {w.dim(0), k}, operand, spec.product, input, weight));
  FoldChain chain;
  int pool_flips = -1;
  // Where the float convolution is faster (groups of few channels), it is used, and its sums have no thresholds.
  if (ChooseConvKernel(input, weight, spec.geometry) != ConvKernel::kFloat) chain = FindFoldChain(graph_, i);
  if (chain.folds) BITGRAD_RETURN_IF_ERROR(AddThresholds(i, chain, input, weight, k, spec.product, pool_flips));
  int value = values_[i] = writer_.AddConv2d(node.layer, operand, spec);
  if (chain.pool >= 0) {
    const Tape::Node& pool = graph_.node(chain.pool);
    value = writer_.AddMaxPool(pool.layer, value, PoolGeometryOf(pool), pool_flips);
  }
  if (chain.reshape >= 0) {
    const Tape::Node& reshape = graph_.node(chain.reshape);
    value = writer_.AddReshape(reshape.layer, value, Shape(reshape.shape.dims().subspan(1)));
  }
  values_[chain.nodes.empty() ? i : chain.nodes.back()] = value;
  if (chain.folds) bits_.insert(value);
  return absl::OkStatus();
}

absl::Status Freezer::EmitArithmetic(int i, Binary op) {
  const Tape::Node& node = graph_.node(i);
  int a = node.inputs[0], b = node.inputs[1];
  if (graph_.is_constant(a)) {
    if (op == Binary::kSub) return Error(node, "of a constant minus a value is not in the packed format");
    std::swap(a, b);
  }
  if (!graph_.is_constant(b)) {
    values_[i] = writer_.AddBinary(node.layer, values_[a], op, values_[b]);
    return absl::OkStatus();
  }
  const Shape& constant = graph_.node(b).shape;
  if (Shape(node.shape.dims().subspan(1)) != constant && Shape({node.shape.cols()}) != constant) {
    return Error(node, absl::StrCat("has a constant of shape ", constant.ToString(),
                                    "; it has to be that of one example or of its last dimension"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const int blob, Constant(b));
  values_[i] = writer_.AddBinaryConstant(node.layer, values_[a], op, blob);
  return absl::OkStatus();
}

absl::Status Freezer::Emit(int i) {
  const Tape::Node& node = graph_.node(i);
  const absl::string_view op = node.descriptor.op;
  if (node.shape.rank() < 1 || node.shape.dim(0) != batch_) {
    return Error(node, absl::StrCat("gives ", node.shape.ToString(),
                                    "; every value has to keep the batch as its first dimension"));
  }
  const Shape example(node.shape.dims().subspan(1));
  const auto operand = [&](int k) { return values_[node.inputs[k]]; };
  if (op == "linear") return EmitLinear(i);
  if (op == "conv2d") return EmitConv2d(i);
  if (op == "add") return EmitArithmetic(i, Binary::kAdd);
  if (op == "sub") return EmitArithmetic(i, Binary::kSub);
  if (op == "mul") return EmitArithmetic(i, Binary::kMul);
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    if (operand(k) == kNoValue && op != "batch_norm") return Error(node, "of a constant is not in the packed format");
  }
  if (op == "batch_norm") {
    int blobs[4];
    for (int k = 0; k < 4; ++k) {
      BITGRAD_ASSIGN_OR_RETURN(blobs[k], Constant(node.inputs[k + 1]));
    }
    values_[i] = writer_.AddBatchNorm(node.layer, operand(0), blobs[0], blobs[1], blobs[2], blobs[3]);
  } else if (const int64_t unary = node.descriptor.Get<int64_t>("unary", 0); unary != 0) {
    values_[i] = writer_.AddUnary(node.layer, operand(0), static_cast<Unary>(unary),
                                  static_cast<float>(node.descriptor.Get<double>("parameter", 0)));
  } else if (op == "quantize") {
    const std::string quantizer = node.descriptor.Get<std::string>("quantizer", "");
    BITGRAD_ASSIGN_OR_RETURN(const Quantizer parsed, ParseQuantizer(quantizer));
    if (parsed.statistic() != Statistic::kNone) {
      return Error(node, absl::StrCat("by '", quantizer, "' has a scale that depends on each batch"));
    }
    values_[i] = writer_.AddQuantize(node.layer, operand(0), {.quantizer = parsed});
    if (parsed.encoding().is_integer()) quantized_.insert(values_[i]);
  } else if (op == "concat") {
    std::vector<int> operands;
    for (size_t k = 0; k < node.inputs.size(); ++k) operands.push_back(operand(k));
    values_[i] = writer_.AddConcat(node.layer, operands);
  } else if (op == "max_pool") {
    values_[i] = writer_.AddMaxPool(node.layer, operand(0), PoolGeometryOf(node));
    if (quantized_.count(operand(0)) > 0) quantized_.insert(values_[i]);
  } else if (op == "average_pool") {
    values_[i] = writer_.AddAveragePool(node.layer, operand(0), PoolGeometryOf(node));
  } else if (op == "reshape") {
    values_[i] = writer_.AddReshape(node.layer, operand(0), example);
    if (quantized_.count(operand(0)) > 0) quantized_.insert(values_[i]);
  } else {
    return Error(node, "is not in the packed format; see docs/packed_model_format.md for what is");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PackedModelWriter> Freeze(ExecContext& context, Model& model, const Tensor& example,
                                         const FreezeOptions& options) {
  if (example.is_null() || example.shape().rank() < 2 || example.shape().dim(0) < 1) {
    return absl::InvalidArgumentError("freeze: the example has to be [batch, ...] with a batch of at least 1");
  }
  Tape tape(context, Mode::kEval);
  const Var input = tape.Input(ToDevice(context, example));
  const Var output = model.Forward(input);
  BITGRAD_RETURN_IF_ERROR(tape.status());
  const absl::Status not_computed =
      absl::InvalidArgumentError("freeze: the model's Forward() does not return a value computed from its input");
  if (output.tape() != &tape || output.index() == input.index()) return not_computed;
  const TapeGraph graph(tape, input, output);
  if (!graph.is_used(input.index())) return not_computed;
  BITGRAD_RETURN_IF_ERROR(context.status());
  // Quantizing weights and finding thresholds is the host's work. The kernels of all devices give the same bits there.
  std::unique_ptr<ExecContext> host;
  if (context.device() != Device::kCpu) {
    host = std::make_unique<ExecContext>(ExecContext::Options{.threads = context.threads(), .seed = context.seed()});
  }
  Freezer freezer(host == nullptr ? context : *host, graph, example.shape().dim(0));
  BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, freezer.Run());

  packed::Header& header = writer.header();
  header.set_producer(absl::StrCat("bitgrad ", kVersion));
  header.set_name(options.name);
  header.set_data_set(options.data_set);
  header.set_class_count(static_cast<int32_t>(output.shape().cols()));
  for (int64_t dim : example.shape().dims().subspan(1)) header.mutable_input()->add_shape(dim);
  if (options.pixels) {
    // NormalizePixel of data/normalize.h: (2 p - 255) / 255.
    packed::PixelMapping& pixels = *header.mutable_input()->mutable_pixels();
    pixels.set_multiplier(2);
    pixels.set_offset(-255);
    pixels.set_divisor(255);
  }
  int64_t parameters = 0, numbers = 0;
  for (int i = 0; i < graph.size(); ++i) {
    if (!graph.is_used(i) || !graph.is_constant(i)) continue;
    const Tape::Node& node = graph.node(i);
    numbers += node.shape.num_elements();
    if (node.parameter != nullptr && node.parameter->trainable) parameters += node.shape.num_elements();
  }
  header.set_parameter_count(parameters);
  header.set_float_parameter_bytes(numbers * static_cast<int64_t>(sizeof(float)));
  return writer;
}

}  // namespace bitgrad
