// Thresholds of integer sums: comparisons, counted.

#include <algorithm>
#include <cmath>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/onnx_codes.h"
#include "bitgrad/export/onnx_steps.h"
#include "bitgrad/runtime/blob_codes.h"

namespace bitgrad {
namespace {

// A threshold as a float that compares with all exact sums as the integer does: those beyond 2^24 are never reached, or
// always.
float ThresholdOf(int32_t threshold) {
  constexpr int32_t kBeyond = (1 << 24) + 2;
  return static_cast<float>(std::clamp(threshold, -kBeyond, kBeyond));
}

// Binary codes by QONNX's sign: of sum - t, and where the flip is set of (t - 1) - sum, which is not negative exactly
// where the sum does not reach t.
std::string BipolarOf(OnnxValues& values, int i, absl::Span<const int32_t> thresholds, absl::Span<const int64_t> flips,
                      const std::string& sums, ImageLayout layout) {
  OnnxGraph& graph = values.graph();
  const std::string hint = values.Hint(i, "threshold");
  std::vector<float> factors, offsets;
  for (size_t o = 0; o < thresholds.size(); ++o) {
    const float t = ThresholdOf(thresholds[o]);
    factors.push_back(flips[o] != 0 ? -1.0f : 1.0f);
    // Beyond 2^24 there are no odd floats, and it does not matter which is meant.
    offsets.push_back(flips[o] != 0 ? std::abs(t) > (1 << 24) ? t : t - 1 : -t);
  }
  const std::string signs = values.PerChannel(hint + "/factors", factors, i + 1, layout);
  const std::string offset = values.PerChannel(hint + "/offsets", offsets, i + 1, layout);
  const std::string turned = graph.Node("Mul", {sums, signs}, hint + "/turned");
  return SignCodes(values, hint, graph.Node("Add", {turned, offset}, hint + "/distance"));
}

}  // namespace

std::string CountReached(OnnxValues& values, const std::string& hint, const std::string& x,
                         const std::vector<std::string>& thresholds) {
  OnnxGraph& graph = values.graph();
  std::vector<std::string> counts;
  for (const std::string& threshold : thresholds) {
    const std::string reached = graph.Node("GreaterOrEqual", {x, threshold}, hint + "/reached");
    counts.push_back(graph.Cast(reached, onnx::TensorProto::FLOAT, hint + "/one"));
  }
  return counts.size() == 1 ? counts[0] : graph.Node("Sum", counts, hint + "/count");
}

std::string Flipped(OnnxValues& values, int i, const std::string& c, int flips, int64_t least, int64_t most,
                    ImageLayout layout) {
  const std::vector<int64_t> is_flipped = CodesOf(values.model(), flips);
  if (std::find(is_flipped.begin(), is_flipped.end(), 1) == is_flipped.end()) return c;
  std::vector<float> factors, offsets;
  for (const int64_t flip : is_flipped) {
    factors.push_back(flip != 0 ? -1.0f : 1.0f);
    offsets.push_back(flip != 0 ? static_cast<float>(least + most) : 0.0f);
  }
  OnnxGraph& graph = values.graph();
  const std::string hint = values.Hint(i, "flip");
  const std::string factor = values.PerChannel(hint + "/factors", factors, i + 1, layout);
  const std::string turned = graph.Node("Mul", {c, factor}, hint + "/turned");
  if (least + most == 0) return turned;
  return graph.Node("Add", {turned, values.PerChannel(hint + "/offsets", offsets, i + 1, layout)}, hint);
}

absl::Status AddOnnxThreshold(OnnxValues& values, int i, const packed::Threshold& threshold, const std::string& sums,
                              ImageLayout layout) {
  OnnxGraph& graph = values.graph();
  const Encoding encoding = EncodingOf(threshold);
  BITGRAD_RETURN_IF_ERROR(CheckCanSay(values, i, "its codes", encoding));
  const absl::Span<const int32_t> table = values.model().ints(threshold.thresholds());
  const std::string hint = values.Hint(i, "threshold");
  const int64_t levels = encoding.largest_stored(), outputs = static_cast<int64_t>(table.size()) / levels;
  if (encoding.kind == EncodingKind::kBinary && values.dialect() == OnnxDialect::kQonnx) {
    const std::vector<int64_t> flips = CodesOf(values.model(), threshold.flips());
    values.SetCodes(i + 1, layout, BipolarOf(values, i, table, flips, sums, layout));
    return absl::OkStatus();
  }
  std::vector<std::string> thresholds;
  for (int64_t l = 0; l < levels; ++l) {
    std::vector<float> row;
    for (const int32_t t : table.subspan(l * outputs, outputs)) row.push_back(ThresholdOf(t));
    thresholds.push_back(values.PerChannel(hint + "/level", row, i + 1, layout));
  }
  const std::string count = CountReached(values, hint, sums, thresholds);
  const std::string stored = Flipped(values, i, count, threshold.flips(), 0, levels, layout);
  std::string codes;
  if (encoding.is_log()) {
    std::vector<float> table_of_codes;
    for (int64_t c = 0; c <= levels; ++c) table_of_codes.push_back(static_cast<float>(encoding.code(c)));
    const std::string place = graph.Cast(stored, onnx::TensorProto::INT64, hint + "/place");
    codes = graph.Node("Gather", {graph.Floats(hint + "/codes", {levels + 1}, table_of_codes), place}, hint + "/code",
                       {IntAttribute("axis", 0)});
  } else {
    const float step = static_cast<float>(encoding.code_step()), least = static_cast<float>(encoding.least_code());
    codes = step == 1 ? stored : graph.Node("Mul", {stored, graph.Scalar(step)}, hint + "/doubled");
    if (least != 0) codes = graph.Node("Add", {codes, graph.Scalar(least)}, hint + "/code");
  }
  values.SetCodes(i + 1, layout, SayCodes(values, hint, encoding, codes));
  return absl::OkStatus();
}

}  // namespace bitgrad
