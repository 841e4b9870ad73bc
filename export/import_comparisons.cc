// Comparisons, choices and roundings to whole numbers: what quantizers are spelled out with.

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/import_ops.h"
#include "bitgrad/export/import_steps.h"
#include "bitgrad/ops/quantizers/sign.h"

namespace bitgrad {
namespace {

Imported Unmade(const Imported& x) { return {.shape = x.shape, .is_image = x.is_image, .columns = x.columns}; }

bool Holds(const std::string& op, float a, float b) {
  if (op == "Greater") return a > b;
  if (op == "Less") return a < b;
  return op == "LessOrEqual" ? a <= b : a >= b;
}

// The comparison with the operands swapped.
std::string Mirrored(const std::string& op) {
  if (op == "Greater") return "Less";
  if (op == "Less") return "Greater";
  return op == "LessOrEqual" ? "GreaterOrEqual" : "LessOrEqual";
}

// 1 where x >= c, else 0: (sign(x - c) + 1) / 2. A difference of floats has the sign of the comparison. x < c is 1
// less that; x > c and x <= c compare with the next float.
absl::StatusOr<int> AddComparison(ImportGraph& graph, int x, const std::string& op, ImportedRow row) {
  const bool is_turned = op == "Less" || op == "LessOrEqual", is_next = op == "Greater" || op == "LessOrEqual";
  for (float& c : row.values) c = -(is_next ? std::nextafter(c, std::numeric_limits<float>::infinity()) : c);
  const int difference = graph.AddBinary(x, Binary::kAdd, row.shape, std::move(row.values));
  BITGRAD_ASSIGN_OR_RETURN(const int sign, graph.AddQuantize(difference, {.quantizer = Sign()}));
  return graph.AddNumber(graph.AddNumber(sign, Binary::kMul, is_turned ? -0.5f : 0.5f), Binary::kAdd, 0.5f);
}

}  // namespace

absl::StatusOr<Imported> ImportComparison(const ImportCall& call) {
  const bool first = call.constant(0) != nullptr;
  const ImportTensor* const bound = call.constant(first ? 0 : 1);
  if (bound == nullptr || call.inputs.size() != 2) {
    return call.node.Unsupported("it compares with a value that is no constant");
  }
  Imported& x = *call.inputs[first ? 1 : 0];
  BITGRAD_ASSIGN_OR_RETURN(ImportedRow row, RowOf(call.node, *bound, x));
  const std::string op = first ? Mirrored(call.node.op()) : call.node.op();
  Imported y = Unmade(x);
  y.nonnegative = y.whole = true;
  if (row.is_by_column()) {
    Follow(call.graph, x, PointwiseOf(row, [op](float v, float c) { return Holds(op, v, c) ? 1.0f : 0.0f; }),
           /*has_steps=*/true, y);
    return y;
  }
  BITGRAD_RETURN_IF_ERROR(MakeValue(call.graph, x));
  BITGRAD_ASSIGN_OR_RETURN(y.id, AddComparison(call.graph, x.id, op, std::move(row)));
  return y;
}

// Of a condition and constants, or values that are made of what the condition is made of.
absl::StatusOr<Imported> ImportWhere(const ImportCall& call) {
  const ImportNode& node = call.node;
  if (call.inputs.size() != 3 || call.inputs[1] == nullptr || call.inputs[2] == nullptr) {
    return node.Error("it has not three operands");
  }
  ImportGraph& graph = call.graph;
  const Imported& condition = call.x();
  // Each side is what it is where its condition holds, and 0 elsewhere.
  Imported sides[2];
  for (int side = 0; side < 2; ++side) {
    const bool when = side == 0;
    const ImportTensor* const constant = call.constant(static_cast<size_t>(side) + 1);
    sides[side] = Unmade(condition);
    if (constant != nullptr) {
      BITGRAD_ASSIGN_OR_RETURN(const ImportedRow row, RowOf(node, *constant, condition));
      if (!row.is_by_column()) return node.Unsupported("its constants are not one number, or one for each channel");
      Follow(graph, condition,
             PointwiseOf(row, [when](float holds, float c) { return (holds != 0) == when ? c : 0.0f; }),
             /*has_steps=*/false, sides[side]);
      continue;
    }
    const Imported& value = *call.inputs[static_cast<size_t>(side) + 1];
    if (value.shape != condition.shape || value.is_image != condition.is_image || value.columns != condition.columns) {
      return node.Unsupported("its operands are ", condition.shape.ToString(), " and ", value.shape.ToString());
    }
    FollowBoth(
        graph, condition, value, [when](float holds, float v) { return (holds != 0) == when ? v : 0.0f; }, sides[side]);
  }
  // One of the two is 0 everywhere.
  Imported y = Unmade(condition);
  FollowBoth(
      graph, sides[0], sides[1], [](float a, float b) { return a != 0 ? a : b; }, y);
  if (y.stepped.empty()) {
    return node.Unsupported(
        "it chooses by a condition between values that are not made of what the condition compares; constants are "
        "read, "
        "and what is compared or rounded of the same value");
  }
  return y;
}

absl::StatusOr<Imported> ImportRounding(const ImportCall& call) {
  const std::string& op = call.node.op();
  const Imported& x = call.x();
  if (x.whole) return x;
  Imported y = Unmade(x);
  y.nonnegative = x.nonnegative;
  y.whole = true;
  Follow(call.graph, x, {[op](float v, int64_t) { return WholeNumber(op, v); }}, /*has_steps=*/true, y);
  if (y.stepped.empty()) {
    return call.node.Unsupported(
        "it rounds a value of which it is not known that it takes at most 256 whole numbers; those behind a Clip are "
        "read, and sums of whole numbers, which it does not change");
  }
  return y;
}

}  // namespace bitgrad
