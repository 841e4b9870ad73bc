// Arithmetic, batch norm and activations.

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/import_ops.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"

namespace bitgrad {
namespace {

// Same id, other properties.
Imported Made(const Imported& x, int id, bool nonnegative) {
  return {.id = id, .shape = x.shape, .is_image = x.is_image, .columns = x.columns, .nonnegative = nonnegative};
}

absl::StatusOr<Imported> ImportArithmeticOfValues(const ImportCall& call, const Imported& a, const Imported& b) {
  const ImportNode& node = call.node;
  if (a.shape != b.shape) {
    return node.Unsupported("its operands are ", a.shape.ToString(), " and ", b.shape.ToString(),
                            "; two values that depend on the input have to be of one shape");
  }
  if (a.is_image != b.is_image || a.columns != b.columns) {
    return node.Unsupported("one of its operands has been flattened from an image, the other one has not");
  }
  Binary op = Binary::kAdd;
  if (node.op() == "Sub") op = Binary::kSub;
  if (node.op() == "Mul") op = Binary::kMul;
  if (node.op() == "Div") return node.Unsupported("it divides by a value that depends on the input");
  return Made(a, call.graph.AddBinary(a.id, op, b.id), op != Binary::kSub && a.nonnegative && b.nonnegative);
}

// The unsigned codes that x consists of, times `factor`.
std::optional<ScaledCodes> Scaled(const ImportGraph& graph, const Imported& x, float factor) {
  if (x.quantizer < 0 || !(factor > 0)) return std::nullopt;
  const program::Value& value = graph.value(x.id);
  if (value.encoding.kind != EncodingKind::kUnsigned) return std::nullopt;
  return ScaledCodes{.step = value.scale * factor, .bits = value.encoding.bits};
}

// Whether adding `number` to all elements of x makes values symmetric about zero of its codes.
bool IsCentered(const std::optional<ScaledCodes>& codes, float number) {
  return codes.has_value() && number == -0.5f * codes->step * static_cast<float>((1 << codes->bits) - 1);
}

// Quantizes what is m (2 c - (2^k - 1)) / (2^k - 1) already, so that products read codes: c ascends evenly from -m to
// m.
absl::StatusOr<Imported> Centered(ImportGraph& graph, Imported y, int bits, float m) {
  y.id = graph.AddNumber(y.id, Binary::kMul, 1 / m);
  BITGRAD_ASSIGN_OR_RETURN(y.id, graph.AddQuantize(y.id, KBit(bits).WithLearnedScale(), std::nullopt, m));
  y.quantizer = y.id;
  return y;
}

}  // namespace

absl::StatusOr<Imported> ImportArithmetic(const ImportCall& call) {
  const ImportNode& node = call.node;
  if (node.op() == "Sum") {
    Imported sum = call.x();
    for (size_t k = 1; k < call.inputs.size(); ++k) {
      if (call.inputs[k] == nullptr || call.inputs[k]->is_constant()) {
        return node.Unsupported("one of its operands is missing or a constant");
      }
      BITGRAD_ASSIGN_OR_RETURN(sum, ImportArithmeticOfValues(call, sum, *call.inputs[k]));
    }
    return sum;
  }
  if (call.inputs.size() != 2 || call.inputs[0] == nullptr || call.inputs[1] == nullptr) {
    return node.Error("it has not two operands");
  }
  const bool first = call.constant(0) != nullptr;
  if (!first && call.constant(1) == nullptr) return ImportArithmeticOfValues(call, call.x(), *call.inputs[1]);
  const Imported& x = *call.inputs[first ? 1 : 0];
  BITGRAD_ASSIGN_OR_RETURN(ImportedRow row, RowOf(node, *call.constant(first ? 0 : 1), x));
  ImportGraph& graph = call.graph;
  int id = x.id;
  Binary op = node.op() == "Mul" ? Binary::kMul : Binary::kAdd;
  if (node.op() == "Sub" && first) id = graph.AddNumber(id, Binary::kMul, -1);  // c - x = -x + c
  if (node.op() == "Sub" && !first) {
    for (float& c : row.values) c = -c;
  }
  if (node.op() == "Div") {
    if (first) return node.Unsupported("it divides by a value that depends on the input");
    op = Binary::kMul;
    for (float& c : row.values) {
      c = 1.0f / c;
      if (!std::isfinite(c)) return node.Error("it divides by 0");
    }
  }
  const bool nonnegative = x.nonnegative && !(node.op() == "Sub" && first) &&
                           std::all_of(row.values.begin(), row.values.end(), [](float c) { return c >= 0; });
  const float number = row.values[0];
  const bool is_number =
      std::all_of(row.values.begin(), row.values.end(), [&](float c) { return c == number; }) && id == x.id;
  Imported y = Made(x, graph.AddBinary(id, op, row.shape, std::move(row.values)), nonnegative);
  if (!is_number) return y;
  if (op == Binary::kMul) {
    y.scaled = Scaled(graph, x, number);
    return y;
  }
  const std::optional<ScaledCodes> codes = x.scaled.has_value() ? x.scaled : Scaled(graph, x, 1);
  return IsCentered(codes, number) ? Centered(graph, std::move(y), codes->bits, -number) : y;
}

// 1 where x >= c, else 0: (sign(x - c) + 1) / 2. A difference of floats has the sign of the comparison.
absl::StatusOr<Imported> ImportGreaterOrEqual(const ImportCall& call) {
  const ImportTensor* const bound = call.constant(1);
  if (bound == nullptr) return call.node.Unsupported("it compares with a value that is no constant");
  BITGRAD_ASSIGN_OR_RETURN(ImportedRow row, RowOf(call.node, *bound, call.x()));
  for (float& c : row.values) c = -c;
  ImportGraph& graph = call.graph;
  const int difference = graph.AddBinary(call.x().id, Binary::kAdd, row.shape, std::move(row.values));
  BITGRAD_ASSIGN_OR_RETURN(const int sign, graph.AddQuantize(difference, Sign(), std::nullopt, std::nullopt));
  return Made(call.x(), graph.AddNumber(graph.AddNumber(sign, Binary::kMul, 0.5f), Binary::kAdd, 0.5f), true);
}

absl::StatusOr<Imported> ImportBatchNorm(const ImportCall& call) {
  const ImportNode& node = call.node;
  const Imported& x = call.x();
  if (node.Int("training_mode", 0) != 0) {
    return node.Unsupported("it is in training mode; export the net in evaluation mode (model.eval())");
  }
  if (!x.is_image && x.shape.rank() != 2) {
    return node.Unsupported("its operand is ", x.shape.ToString(), "; images [N, C, H, W] and [N, C] are read");
  }
  const int64_t channels = x.shape.dim(1);
  // scale, bias, mean, variance, in the program's order.
  std::vector<float> numbers[4];
  for (size_t k = 0; k < 4; ++k) {
    const ImportTensor* const given = call.constant(k + 1);
    if (given == nullptr || given->is_integer || given->size() != channels) {
      return node.Error("operand ", k + 1, " is not a constant of ", channels, " numbers");
    }
    for (int64_t c = 0; c < channels; ++c) {
      numbers[k].push_back(given->floats[x.columns.empty() ? c : x.columns[c]]);
    }
  }
  const float epsilon = node.Float("epsilon", 1e-5f);
  for (float& variance : numbers[3]) {
    const double sum = static_cast<double>(variance) + epsilon;
    if (!(sum > 0)) return node.Error("the variance ", variance, " plus epsilon is not positive");
    variance = static_cast<float>(1 / std::sqrt(sum));
  }
  std::vector<int> operands = {x.id};
  const std::pair<int, const char*> order[] = {{2, "mean"}, {3, "inv_std"}, {0, "gamma"}, {1, "beta"}};
  for (const auto& [k, name] : order) {
    operands.push_back(call.graph.AddFloats(absl::StrCat(node.name(), "/", name), {channels}, std::move(numbers[k])));
  }
  return Made(x, call.graph.Add(program::BatchNorm(), "batch_norm", std::move(operands), call.graph.shape(x.id)),
              false);
}

absl::StatusOr<Imported> ImportActivation(const ImportCall& call) {
  const std::string& op = call.node.op();
  const Imported& x = call.x();
  ImportGraph& graph = call.graph;
  if (op == "Relu") return Made(x, graph.AddUnary(x.id, Unary::kRelu), true);
  if (op == "Sigmoid") return Made(x, graph.AddUnary(x.id, Unary::kSigmoid), true);
  if (op == "Tanh") return Made(x, graph.AddUnary(x.id, Unary::kTanh), x.nonnegative);
  if (op == "HardTanh") return Made(x, graph.AddUnary(x.id, Unary::kHardtanh), x.nonnegative);
  if (op == "Neg") return Made(x, graph.AddNumber(x.id, Binary::kMul, -1), false);
  return Made(x, graph.AddUnary(x.id, Unary::kLeakyRelu, call.node.Float("alpha", 0.01f)), x.nonnegative);
}

// x > 0 ? x : a x = max(x, 0) + (-a) max(-x, 0), to the last bit; for one a a leaky ReLU.
absl::StatusOr<Imported> ImportPRelu(const ImportCall& call) {
  const Imported& x = call.x();
  const ImportTensor* const slope = call.constant(1);
  if (slope == nullptr || slope->is_integer) return call.node.Unsupported("its slope is no constant of floats");
  ImportGraph& graph = call.graph;
  const std::vector<float>& slopes = slope->floats;
  if (std::all_of(slopes.begin(), slopes.end(), [&](float a) { return a == slopes[0]; })) {
    return Made(x, graph.AddUnary(x.id, Unary::kLeakyRelu, slopes[0]), x.nonnegative);
  }
  BITGRAD_ASSIGN_OR_RETURN(ImportedRow row, RowOf(call.node, *slope, x));
  for (float& a : row.values) a = -a;
  const int above = graph.AddUnary(x.id, Unary::kRelu);
  const int below = graph.AddUnary(graph.AddNumber(x.id, Binary::kMul, -1), Unary::kRelu);
  const int bent = graph.AddBinary(below, Binary::kMul, row.shape, std::move(row.values));
  return Made(x, graph.AddBinary(above, Binary::kAdd, bent), x.nonnegative);
}

absl::StatusOr<Imported> ImportClip(const ImportCall& call) {
  const ImportNode& node = call.node;
  const Imported& x = call.x();
  std::optional<double> bounds[2];
  const char* const names[2] = {"min", "max"};
  for (size_t k = 0; k < 2; ++k) {
    if (node.has(names[k])) bounds[k] = node.Float(names[k], 0);  // before opset 11
    if (!node.has_input(static_cast<int>(k) + 1)) continue;
    const ImportTensor* const bound = call.constant(k + 1);
    if (bound == nullptr || bound->size() != 1)
      return node.Unsupported("its ", names[k], " is not one constant number");
    bounds[k] = bound->at(0);
  }
  // What stands for infinity.
  if (bounds[0].has_value() && *bounds[0] <= -3.4e38) bounds[0].reset();
  if (bounds[1].has_value() && *bounds[1] >= 3.4e38) bounds[1].reset();
  if (bounds[0].has_value() && bounds[1].has_value() && !(*bounds[0] < *bounds[1])) {
    return node.Error("its min ", *bounds[0], " is not below its max ", *bounds[1]);
  }
  if (x.pending.has_value()) {
    // Of QuantizeLinear's whole numbers: a narrower range.
    Imported y = x;
    y.pending->least = std::max(y.pending->least, static_cast<int>(bounds[0].value_or(-128)));
    y.pending->most = std::min(y.pending->most, static_cast<int>(bounds[1].value_or(255)));
    if (y.pending->least >= y.pending->most) return node.Error("it leaves one value only");
    return y;
  }
  const auto number = [](const std::optional<double>& bound) {
    return bound.has_value() ? std::optional<float>(static_cast<float>(*bound)) : std::nullopt;
  };
  return Made(x, call.graph.AddClip(x.id, number(bounds[0]), number(bounds[1])),
              x.nonnegative || (bounds[0].has_value() && *bounds[0] == 0 && !bounds[1].has_value()));
}

}  // namespace bitgrad
