// Quantizers as arithmetic of ONNX: the formulas of ops/quantizers/, with the same roundings in the same order. The
// last step of most of them, rounding down to a whole number, is onnx_codes.h's. NaN has no defined code here.

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/onnx_codes.h"
#include "bitgrad/export/onnx_steps.h"
#include "bitgrad/ops/quantizers/log_quant.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {
namespace {

float LargestOf(int bits) { return static_cast<float>((1 << bits) - 1); }

// A chain of nodes on one tensor.
class Chain {
 public:
  Chain(OnnxValues& values, std::string hint, std::string x)
      : values_(values), hint_(std::move(hint)), x_(std::move(x)) {}

  Chain& Do(const std::string& op, float number) {
    x_ = values_.graph().Node(op, {x_, values_.graph().Scalar(number)}, Hint(op));
    return *this;
  }
  Chain& Clip(float least, float most) {
    x_ = values_.graph().Node("Clip", {x_, values_.graph().Scalar(least), values_.graph().Scalar(most)}, Hint("Clip"));
    return *this;
  }
  Chain& Floor() {
    x_ = values_.graph().Node("Floor", {x_}, Hint("Floor"));
    return *this;
  }
  const std::string& tensor() const { return x_; }

 private:
  std::string Hint(const std::string& op) const { return absl::StrCat(hint_, "/", op); }

  OnnxValues& values_;
  const std::string hint_;
  std::string x_;
};

// What is rounded down to the grid's number, k_bit(bits): L sigma(x) + 1/2, with sigma(x) = clip((x + 1) / 2, 0, 1).
std::string KBitTerm(OnnxValues& values, const std::string& hint, int bits, const std::string& x) {
  return Chain(values, hint, x)
      .Clip(-1, 1)
      .Do("Add", 1)
      .Do("Mul", 0.5f)
      .Do("Mul", LargestOf(bits))
      .Do("Add", 0.5f)
      .tensor();
}

// The same of max_abs with `bits` bits.
std::string MaxAbsTerm(OnnxValues& values, const std::string& hint, QuantizerRole role, int bits, float max,
                       const std::string& x) {
  Chain chain(values, hint, x);
  const bool is_weight = role != QuantizerRole::kActivation;
  const bool is_sign = is_weight && bits == 1;
  chain.Do("Div", is_sign ? std::numeric_limits<float>::min() : max == 0 ? 1.0f : max);
  if (is_weight) chain.Do("Add", 1).Do("Mul", 0.5f);
  return chain.Clip(0, 1).Do("Mul", LargestOf(bits)).Do("Add", 0.5f).tensor();
}

// MaxAbsQuantizer::ValueOfBits().
std::string MaxAbsValue(OnnxValues& values, const std::string& hint, QuantizerRole role, int bits, float max,
                        const std::string& x) {
  Chain chain(values, hint, MaxAbsTerm(values, hint, role, bits, max, x));
  chain.Floor();
  if (role != QuantizerRole::kActivation) chain.Do("Mul", 2).Do("Sub", LargestOf(bits));
  return chain.Do("Mul", max / LargestOf(bits)).tensor();
}

// bit_pruning of a number of bits that is no whole number: (1 - a) Q(x, b) + a Q(x, b + 1).
std::string BitPruningValue(OnnxValues& values, const std::string& hint, const PackedQuantizer& packed,
                            const std::string& x) {
  const float n = *packed.variable, max = *packed.statistic;
  const int bits = std::clamp(static_cast<int>(n), 1, 8);
  const float a = n < 1 || n > 8 ? 0.0f : n - static_cast<float>(bits);
  const QuantizerRole role = packed.quantizer.args().role;
  const std::string low = MaxAbsValue(values, hint + "/few", role, bits, max, x);
  if (a == 0) return low;
  const std::string high = MaxAbsValue(values, hint + "/more", role, bits + 1, max, x);
  return values.graph().Node("Add",
                             {Chain(values, hint + "/few", low).Do("Mul", 1.0f - a).tensor(),
                              Chain(values, hint + "/more", high).Do("Mul", a).tensor()},
                             hint + "/between");
}

// The least x >= 0 whose code is at least `code`, by bisection over the floats, which ascend as their bits do.
float LeastWithCode(const QuantizerArgs& args, float code) {
  uint32_t below = 0, reached = std::bit_cast<uint32_t>(std::numeric_limits<float>::infinity());
  while (reached - below > 1) {
    const uint32_t middle = below + (reached - below) / 2;
    (LogQuantizer::Code(std::bit_cast<float>(middle), args, {}, 0) >= code ? reached : below) = middle;
  }
  return std::bit_cast<float>(reached);
}

// log_quant: the number of powers of two that |x| reaches after rounding gives the size of the code, or of the value
// where there are no codes, by a table.
std::string PowerCodes(OnnxValues& values, const std::string& hint, const Quantizer& quantizer, const std::string& x) {
  OnnxGraph& graph = values.graph();
  const QuantizerArgs& args = quantizer.args();
  // Of codes the least size is 1; without codes, the largest one.
  const bool has_codes = quantizer.encoding().is_integer();
  const float least = has_codes ? 1.0f : LogQuantizer::Least(args);
  const float most = has_codes ? static_cast<float>(quantizer.encoding().max_code()) : 1.0f;
  std::vector<float> sizes = {args.zero ? 0.0f : least};
  std::vector<std::string> thresholds;
  for (float size = args.zero ? least : 2 * least; size <= most; size *= 2) {
    sizes.push_back(size);
    thresholds.push_back(graph.Scalar(LeastWithCode(args, size)));
  }
  const std::string magnitude = graph.Node("Abs", {x}, hint + "/abs");
  const std::string count = CountReached(values, hint, magnitude, thresholds);
  const std::string place = graph.Cast(count, onnx::TensorProto::INT64, hint + "/place");
  const std::string table = graph.Floats(hint + "/sizes", {static_cast<int64_t>(sizes.size())}, sizes);
  const std::string size = graph.Node("Gather", {table, place}, hint + "/size", {IntAttribute("axis", 0)});
  const std::string is_negative = graph.Node("Less", {x, graph.Scalar(0)}, hint + "/is_negative");
  return graph.Node("Where", {is_negative, graph.Node("Neg", {size}, hint + "/negative"), size}, hint + "/codes");
}

std::string TernaryCodes(OnnxValues& values, const std::string& hint, float threshold, const std::string& x) {
  OnnxGraph& graph = values.graph();
  const std::string above = graph.Node("Greater", {x, graph.Scalar(threshold)}, hint + "/is_above");
  const std::string below = graph.Node("Less", {x, graph.Scalar(-threshold)}, hint + "/is_below");
  const std::string rest = graph.Node("Where", {below, graph.Scalar(-1), graph.Scalar(0)}, hint + "/below");
  return graph.Node("Where", {above, graph.Scalar(1), rest}, hint + "/ternary");
}

}  // namespace

absl::Status AddOnnxQuantize(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const int operand = values.instruction(i).operands(0);
  const PackedQuantizer& packed = values.model().quantizer(i);
  const Quantizer& quantizer = packed.quantizer;
  const absl::string_view name = quantizer.info().name;
  const int bits = quantizer.args().bits;
  const Encoding encoding = packed.encoding();
  const ImageLayout layout = values.LayoutOf(operand);
  const std::string x = values.Floats(operand, layout);
  const std::string hint = values.Hint(i, name);
  if (quantizer.is_identity()) {
    values.SetFloats(i + 1, layout, x);
    return absl::OkStatus();
  }
  BITGRAD_RETURN_IF_ERROR(CheckCanSay(values, i, "its codes", encoding));
  if (name == "bit_pruning") {
    values.SetFloats(i + 1, layout, BitPruningValue(values, hint, packed, x));
    return absl::OkStatus();
  }
  if (name == "log_quant" && !encoding.is_integer()) {
    values.SetFloats(i + 1, layout, PowerCodes(values, hint, quantizer, x));
    return absl::OkStatus();
  }
  std::string codes;
  const auto floor = [&](const std::string& u) { return FloorCodes(values, hint, encoding, u); };
  if (encoding.kind == EncodingKind::kBinary) {
    codes = SignCodes(values, hint, x);
  } else if (name == "heaviside") {
    const std::string is_positive = graph.Node("Greater", {x, graph.Scalar(0)}, hint + "/is_positive");
    const std::string ones = graph.Cast(is_positive, onnx::TensorProto::FLOAT, hint + "/ones");
    codes = GridCodes(values, hint, encoding, ones);
  } else if (name == "ternary") {
    codes = GridCodes(values, hint, encoding, TernaryCodes(values, hint, quantizer.args().parameter, x));
  } else if (name == "k_bit") {
    codes = floor(KBitTerm(values, hint, bits, x));
  } else if (name == "dorefa_activation") {
    codes = floor(Chain(values, hint, x).Clip(0, 1).Do("Mul", LargestOf(bits)).Do("Add", 0.5f).tensor());
  } else if (name == "pact") {
    codes = floor(Chain(values, hint, x)
                      .Do("Div", *packed.variable)
                      .Clip(0, 1)
                      .Do("Mul", LargestOf(bits))
                      .Do("Add", 0.5f)
                      .tensor());
  } else if (name == "lsq") {
    const float least = static_cast<float>(encoding.least_code());
    const float most = static_cast<float>(encoding.code(encoding.largest_stored()));
    codes = floor(Chain(values, hint, x).Do("Div", *packed.variable).Clip(least, most).Do("Add", 0.5f).tensor());
  } else if (name == "max_abs") {
    codes = floor(MaxAbsTerm(values, hint, quantizer.args().role, bits, *packed.statistic, x));
  } else if (name == "log_quant") {
    codes = SayCodes(values, hint, encoding, PowerCodes(values, hint, quantizer, x));
  } else {
    return values.Refuse(i, absl::StrCat("'", quantizer.ToString(), "' has no exact form in float operators"),
                         "train with another quantizer");
  }
  values.SetCodes(i + 1, layout, codes);
  return absl::OkStatus();
}

}  // namespace bitgrad
