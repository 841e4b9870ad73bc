#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/runtime/cost.h"

namespace bitgrad {
namespace {

constexpr int kColumns = 13;
using Row = std::array<std::string, kColumns>;

// Layer, op, shape, input, weights and kernel are text, aligned left; the other columns are numbers, aligned right.
constexpr bool kIsNumber[kColumns] = {false, false, false, false, true, false, true,
                                      true,  true,  true,  true,  true, false};

std::string Count(int64_t value) { return value == 0 ? "-" : absl::StrCat(value); }
std::string Text(const std::string& value) { return value.empty() ? "-" : value; }

Row RowOf(const LayerCost& layer) {
  const std::string op = layer.runs > 1 ? absl::StrCat(layer.op, " x", layer.runs) : Text(layer.op);
  return {Text(layer.layer),         op,
          layer.example.ToString(),  Text(layer.input),
          Count(layer.input_bits),   Text(layer.weights),
          Count(layer.weight_bits),  Count(layer.parameters),
          Count(layer.bytes),        Count(layer.bit_macs),
          Count(layer.integer_macs), Count(layer.float_macs),
          Text(layer.kernel)};
}

}  // namespace

std::string CostTable(const PackedModel& model, const ModelCost& cost) {
  std::vector<Row> rows = {{"layer", "op", "value", "input", "bits", "weights", "bits", "parameters", "bytes",
                            "bit MACs", "integer MACs", "float MACs", "kernel"}};
  LayerCost total{.layer = "total", .example = model.result().example};
  for (const LayerCost& layer : cost.layers) {
    rows.push_back(RowOf(layer));
    total.parameters += layer.parameters;
    total.bit_macs += layer.bit_macs;
    total.integer_macs += layer.integer_macs;
    total.float_macs += layer.float_macs;
  }
  rows.push_back(RowOf({.layer = "header", .bytes = cost.head_bytes}));
  rows.back()[2] = "-";
  total.bytes = cost.predicted_bytes;
  rows.push_back(RowOf(total));

  std::array<size_t, kColumns> widths = {};
  for (const Row& row : rows) {
    for (int c = 0; c < kColumns; ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string table;
  for (const Row& row : rows) {
    for (int c = 0; c < kColumns; ++c) {
      const int width = static_cast<int>(widths[c]);
      const absl::string_view gap = c == 0 ? "" : "  ";
      if (c + 1 == kColumns) {
        absl::StrAppend(&table, gap, row[c], "\n");
      } else {
        absl::StrAppendFormat(&table, "%s%*s", gap, kIsNumber[c] ? width : -width, row[c]);
      }
    }
  }
  absl::StrAppend(&table, "parameters by bits:");
  for (const auto& [bits, count] : cost.parameters_by_bits) absl::StrAppend(&table, "  ", bits, ": ", count);
  return table + "\n";
}

}  // namespace bitgrad
