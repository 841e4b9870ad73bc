#include "bitgrad/export/import_graph.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/program_quantizer.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/lsq.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/ternary.h"

namespace bitgrad {

using program::Value;

std::vector<int64_t> Imported::Order() const {
  if (!columns.empty()) return columns;
  std::vector<int64_t> order;
  if (!is_image) {
    for (int64_t i = 0; i < size(); ++i) order.push_back(i);
    return order;
  }
  for (int64_t h = 0; h < height(); ++h) {
    for (int64_t w = 0; w < width(); ++w) {
      for (int64_t c = 0; c < channels(); ++c) order.push_back((c * height() + h) * width() + w);
    }
  }
  return order;
}

bool Imported::is_in_order() const {
  if (columns.empty() && !is_image) return true;
  const std::vector<int64_t> order = Order();
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

Imported* ImportGraph::Find(const std::string& name) {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

absl::Status ImportGraph::Set(const ImportNode& node, const std::string& name, Imported value) {
  if (!values_.emplace(name, std::move(value)).second) return node.Error("'", name, "' is made twice");
  return absl::OkStatus();
}

int ImportGraph::Add(program::Operation operation, const std::string& op, std::vector<int> operands,
                     const Shape& shape) {
  Value value = {
      .operation = std::move(operation), .operands = std::move(operands), .op = op, .layer = layer_, .shape = shape};
  if (value.as<program::MaxPool>() != nullptr || value.as<program::Reshape>() != nullptr) {
    const Value& x = program_.value(value.operands[0]);
    value.encoding = x.encoding;
    value.scale = x.scale;
  }
  return program_.Add(std::move(value));
}

int ImportGraph::AddInput(const Shape& shape) { return Add(program::Input(), "input", {}, shape); }

int ImportGraph::AddFloats(const std::string& name, const Shape& shape, std::vector<float> values) {
  const int id = Add(program::Constant{.name = name, .is_parameter = true}, "constant", {}, shape);
  program_.value(id).floats = Tensor::Of<float>(shape, values);
  return id;
}

int ImportGraph::AddCodes(const std::string& name, const Shape& shape, std::shared_ptr<const CodedTensor> coded) {
  const int id = Add(program::Constant{.name = name, .is_parameter = true}, "constant", {}, shape);
  program_.value(id).encoding = coded->encoding;
  program_.value(id).coded = std::move(coded);
  return id;
}

int ImportGraph::AddUnary(int x, Unary op, float parameter) {
  return Add(program::UnaryOp{op, parameter}, "activation", {x}, shape(x));
}

int ImportGraph::AddRound(int x, const NumberFormat& format) {
  return Add(program::Round{format}, "round", {x}, shape(x));
}

int ImportGraph::AddBinary(int x, Binary op, const Shape& shape_of_constant, std::vector<float> values) {
  const char* const name = op == Binary::kMul ? "factor" : "summand";
  const int constant = AddFloats(absl::StrCat(layer_, "/", name), shape_of_constant, std::move(values));
  return Add(program::BinaryOp{op}, "arithmetic", {x, constant}, shape(x));
}

int ImportGraph::AddNumber(int x, Binary op, float number) {
  const int64_t cols = shape(x).cols();
  return AddBinary(x, op, {cols}, std::vector<float>(static_cast<size_t>(cols), number));
}

int ImportGraph::AddBinary(int x, Binary op, int y) {
  return Add(program::BinaryOp{op}, "arithmetic", {x, y}, shape(x));
}

absl::StatusOr<int> ImportGraph::AddQuantize(int x, const PackedQuantizer& quantizer) {
  program::Quantize quantize = {.quantizer = quantizer.quantizer};
  std::vector<int> operands = {x};
  const auto add = [&](const std::optional<float>& number, const char* name, int& operand) {
    if (!number.has_value()) return;
    operand = static_cast<int>(operands.size());
    operands.push_back(AddFloats(absl::StrCat(layer_, "/", name), {1}, {*number}));
  };
  add(quantizer.variable, "step", quantize.variable);
  add(quantizer.scale, "scale", quantize.scale);
  add(quantizer.statistic, "statistic", quantize.statistic);
  const int id = Add(quantize, "quantize", std::move(operands), shape(x));
  program_.value(id).encoding = quantizer.encoding();
  BITGRAD_ASSIGN_OR_RETURN(const PackedQuantizer packed, QuantizerOf(program_, id));
  program_.value(id).scale = packed.value_scale();
  return id;
}

absl::StatusOr<int> ImportGraph::AddCodesOf(int x, const Encoding& encoding, float scale) {
  const auto scaled = [](const Quantizer& quantizer, float s) {
    return s == 1 ? PackedQuantizer{.quantizer = quantizer}
                  : PackedQuantizer{.quantizer = quantizer.WithLearnedScale(), .scale = s};
  };
  switch (encoding.kind) {
    case EncodingKind::kBinary: return AddQuantize(x, scaled(Sign(), scale));
    case EncodingKind::kTernary:
      return AddQuantize(scale == 1 ? x : AddNumber(x, Binary::kMul, 1 / scale), scaled(Ternary(0.5f), scale));
    case EncodingKind::kSymmetric: {
      // From -1 to 1.
      const float most = scale * static_cast<float>(encoding.max_code());
      return AddQuantize(AddNumber(x, Binary::kMul, 1 / most), scaled(KBit(encoding.bits), most));
    }
    default: break;
  }
  const bool is_unsigned = encoding.kind == EncodingKind::kUnsigned;
  const Quantizer lsq = Lsq(encoding.bits).In(is_unsigned ? QuantizerRole::kActivation : QuantizerRole::kWeight);
  return AddQuantize(x, {.quantizer = lsq, .variable = scale});
}

int ImportGraph::AddClip(int x, std::optional<float> least, std::optional<float> most) {
  if (!least.has_value() && !most.has_value()) return x;
  if (!most.has_value()) {
    // max(x, l) = max(x - l, 0) + l
    if (*least == 0) return AddUnary(x, Unary::kRelu);
    return AddNumber(AddUnary(AddNumber(x, Binary::kAdd, -*least), Unary::kRelu), Binary::kAdd, *least);
  }
  if (!least.has_value()) {
    // min(x, m) = -max(m - x, 0) + m
    const int below = AddNumber(AddNumber(x, Binary::kMul, -1), Binary::kAdd, *most);
    return AddNumber(AddNumber(AddUnary(below, Unary::kRelu), Binary::kMul, -1), Binary::kAdd, *most);
  }
  const float middle = 0.5f * (*least + *most), half = 0.5f * (*most - *least);
  if (middle != 0) x = AddNumber(x, Binary::kAdd, -middle);
  if (half != 1) x = AddNumber(x, Binary::kMul, 1.0f / half);
  x = AddUnary(x, Unary::kHardtanh);
  if (half != 1) x = AddNumber(x, Binary::kMul, half);
  return middle != 0 ? AddNumber(x, Binary::kAdd, middle) : x;
}

}  // namespace bitgrad
