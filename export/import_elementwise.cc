// Arithmetic, batch norm and activations.

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/import_ops.h"
#include "bitgrad/export/import_steps.h"

namespace bitgrad {
namespace {

// Same id, other properties.
Imported Made(const Imported& x, int id, bool nonnegative) {
  return {.id = id, .shape = x.shape, .is_image = x.is_image, .columns = x.columns, .nonnegative = nonnegative};
}

// A function of single elements: `add` adds it to the program, where x has an operation.
Imported Made(ImportGraph& graph, const Imported& x, absl::FunctionRef<int(int)> add, bool nonnegative, Pointwise op) {
  Imported y = Made(x, x.id >= 0 ? add(x.id) : -1, nonnegative);
  Follow(graph, x, std::move(op), /*has_steps=*/false, y);
  return y;
}

// What the op makes of two numbers.
float Computed(const std::string& op, float a, float b) {
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  return op == "Div" ? a / b : a + b;
}

absl::StatusOr<Imported> ImportArithmeticOfValues(const ImportCall& call, Imported& a, Imported& b) {
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
  Imported y = Made(a, -1, op != Binary::kSub && a.nonnegative && b.nonnegative);
  FollowBoth(
      call.graph, a, b, [&](float v, float w) { return Computed(node.op(), v, w); }, y);
  if (y.stepped.empty()) {
    BITGRAD_RETURN_IF_ERROR(MakeValue(call.graph, a));
    BITGRAD_RETURN_IF_ERROR(MakeValue(call.graph, b));
  }
  if (a.id >= 0 && b.id >= 0) y.id = call.graph.AddBinary(a.id, op, b.id);
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
  if (!first && call.constant(1) == nullptr) return ImportArithmeticOfValues(call, *call.inputs[0], *call.inputs[1]);
  Imported& x = *call.inputs[first ? 1 : 0];
  BITGRAD_ASSIGN_OR_RETURN(const ImportedRow row, RowOf(node, *call.constant(first ? 0 : 1), x));
  const std::string& op = node.op();
  if (op == "Div" && first) return node.Unsupported("it divides by a value that depends on the input");
  // What is multiplied with or added: c - x = -x + c.
  std::vector<float> numbers = row.values;
  for (float& c : numbers) {
    if (op == "Sub" && !first) c = -c;
    if (op != "Div") continue;
    c = 1.0f / c;
    if (!std::isfinite(c)) return node.Error("it divides by 0");
  }
  const bool turns = op == "Sub" && first;
  const bool nonnegative =
      x.nonnegative && !turns && std::all_of(numbers.begin(), numbers.end(), [](float c) { return c >= 0; });
  ImportGraph& graph = call.graph;
  const auto add = [&](int id) {
    if (turns) id = graph.AddNumber(id, Binary::kMul, -1);
    return graph.AddBinary(id, op == "Mul" || op == "Div" ? Binary::kMul : Binary::kAdd, row.shape, numbers);
  };
  if (!row.is_by_column()) {
    BITGRAD_RETURN_IF_ERROR(MakeValue(graph, x));
    return Made(x, add(x.id), nonnegative);
  }
  return Made(graph, x, add, nonnegative,
              PointwiseOf(row, [op, first](float v, float c) { return Computed(op, first ? c : v, first ? v : c); }));
}

absl::StatusOr<Imported> ImportBatchNorm(const ImportCall& call) {
  const ImportNode& node = call.node;
  const Imported& x = call.x();
  // Before opset 14 the batch's statistics are further outputs.
  if (node.Int("training_mode", 0) != 0 || node.proto().output_size() > 1) {
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
  const auto unary = [&](Unary kind, float parameter = 0) {
    return [&graph, kind, parameter](int id) { return graph.AddUnary(id, kind, parameter); };
  };
  if (op == "Sigmoid") return Made(x, unary(Unary::kSigmoid)(x.id), true);
  if (op == "Tanh") return Made(x, unary(Unary::kTanh)(x.id), x.nonnegative);
  if (op == "Relu") {
    return Made(graph, x, unary(Unary::kRelu), true, {[](float v, int64_t) { return v > 0 ? v : 0.0f; }});
  }
  if (op == "HardTanh") {
    return Made(graph, x, unary(Unary::kHardtanh), x.nonnegative,
                {[](float v, int64_t) { return std::clamp(v, -1.0f, 1.0f); }});
  }
  if (op == "Neg") {
    const auto add = [&](int id) { return graph.AddNumber(id, Binary::kMul, -1); };
    return Made(graph, x, add, false, {[](float v, int64_t) { return -v; }});
  }
  const float alpha = call.node.Float("alpha", 0.01f);
  const auto leaky = unary(Unary::kLeakyRelu, alpha);
  // What is not monotone is no link of a chain.
  if (alpha < 0 && !IsStepped(graph, x)) return Made(x, leaky(x.id), false);
  return Made(graph, x, leaky, x.nonnegative, {[alpha](float v, int64_t) { return v > 0 ? v : alpha * v; }});
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
  const std::optional<float> least = number(bounds[0]), most = number(bounds[1]);
  const auto clip = [least, most](float v, int64_t) {
    if (least.has_value() && v < *least) return *least;
    return most.has_value() && v > *most ? *most : v;
  };
  return Made(call.graph, x, [&](int id) { return call.graph.AddClip(id, least, most); },
              x.nonnegative || (bounds[0].has_value() && *bounds[0] == 0 && !bounds[1].has_value()), {clip});
}

}  // namespace bitgrad
