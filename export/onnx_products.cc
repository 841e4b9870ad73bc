// linear, conv2d and tap_conv2d: sums of codes or floats, and what becomes of them.
//
// Sums of integers have to be exact. Up to 2^24 they are sums of floats, in any order. Beyond, those of a linear are
// sums of doubles or, beyond 2^53, of int64; a convolution, which ONNX Runtime has for floats alone, is split: weights
// w = w_0 + 2^d w_1 + .. with digits of d bits give sums that are exact floats, which are added as doubles.

#include <algorithm>
#include <bit>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/onnx_codes.h"
#include "bitgrad/export/onnx_steps.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/runtime/blob_codes.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/image_geometry.h"

namespace bitgrad {
namespace {

// Weights of a matrix [out, in] in another order: element j of the result is element order[j].
struct Weights {
  Encoding encoding;           // kFloat: `floats` holds them
  std::vector<float> floats;   // the weights
  std::vector<int64_t> codes;  // or their codes
  std::vector<int64_t> shape;  // as the node takes them

  void Reorder(const std::vector<int64_t>& order) {
    std::vector<float> new_floats;
    std::vector<int64_t> new_codes;
    for (const int64_t j : order) {
      if (j >= 0 && !floats.empty()) new_floats.push_back(floats[j]);
      if (j >= 0 && !codes.empty()) new_codes.push_back(codes[j]);
      if (j < 0) floats.empty() ? new_codes.push_back(0) : new_floats.push_back(0);
    }
    floats = std::move(new_floats);
    codes = std::move(new_codes);
  }
};

Weights WeightsOf(const PackedModel& model, int blob) {
  Weights weights{.encoding = EncodingOf(model.blob(blob))};
  if (weights.encoding.is_integer()) {
    weights.codes = CodesOf(model, blob);
  } else {
    const absl::Span<const float> floats = model.floats(blob);
    weights.floats.assign(floats.begin(), floats.end());
  }
  return weights;
}

// The weights as a tensor of floats, of their codes where they have some.
std::string WeightTensor(OnnxValues& values, const std::string& hint, const Weights& weights) {
  if (!weights.encoding.is_integer()) return values.graph().Floats(hint, weights.shape, weights.floats);
  return ConstantCodes(values, hint, weights.encoding, weights.shape, weights.codes);
}

// The largest size of a sum of k products, at most 2^63 - 1.
int64_t SumBound(const Encoding& x, const Encoding& w, int64_t k) {
  const double bound = static_cast<double>(k) * static_cast<double>(x.max_code()) * static_cast<double>(w.max_code());
  return bound >= 9.2e18 ? INT64_MAX : k * x.max_code() * w.max_code();
}

constexpr int64_t kMaxExactDouble = int64_t{1} << 53;

// Whether the packed model's sums are integers: those of codes that it does not multiply as floats.
bool SumsAreIntegers(const Encoding& x, const Encoding& w, int64_t k, bool requantized) {
  if (!x.is_integer() || !w.is_integer()) return false;
  if (requantized || DotIsExact(x, w, k)) return true;
  return (x.is_log() || w.is_log()) && LogSumsOf(x, w, k) != LogSums::kTooLarge;
}

// Operand and weights of a linear. Where ONNX Runtime finds the product of floats with bytes that are dequantized, it
// quantizes the floats as well, to 8 bits, and answers something else. So weights of qcdq are dequantized bytes only
// where the operand is the same.
struct Factors {
  std::string x, w;
};
Factors FactorsOf(OnnxValues& values, int i, const Encoding& encoding, const Weights& weights, const std::string& x) {
  const std::string hint = values.Hint(i, "weight");
  if (values.dialect() != OnnxDialect::kQcdq || !weights.encoding.is_integer()) {
    return {x, WeightTensor(values, hint, weights)};
  }
  const std::string bytes =
      encoding.is_integer() ? AsDequantizedBytes(values, values.Hint(i, "operand"), encoding, x) : "";
  if (bytes.empty()) return {x, PlainConstantCodes(values, hint, weights.shape, weights.codes)};
  return {bytes, WeightTensor(values, hint, weights)};
}

OnnxSums LinearSums(OnnxValues& values, int i, const Weights& weights, const std::string& operand, int64_t k,
                    bool requantized) {
  OnnxGraph& graph = values.graph();
  const Encoding& encoding = values.model().value(values.instruction(i).operands(0)).encoding;
  const std::string hint = values.Hint(i, "sum");
  const auto [x, w] = FactorsOf(values, i, encoding, weights, operand);
  const bool exact = SumsAreIntegers(encoding, weights.encoding, k, requantized);
  const int64_t bound = exact ? SumBound(encoding, weights.encoding, k) : 0;
  if (bound <= kMaxExactFloatInteger) return {graph.Node("MatMul", {x, w}, hint), onnx::TensorProto::FLOAT, exact};
  const auto type = bound <= kMaxExactDouble ? onnx::TensorProto::DOUBLE : onnx::TensorProto::INT64;
  return {graph.Node("MatMul", {graph.Cast(x, type, hint + "/operand"), graph.Cast(w, type, hint + "/weight")}, hint),
          type};
}

// A convolution of x, which has channels first, by a tensor of filters [O, C / groups, R, S].
std::string Conv(OnnxValues& values, int i, const ConvGeometry& g, const std::string& x, const std::string& w) {
  return values.graph().Node(
      "Conv", {x, w}, values.Hint(i, "sum"),
      {IntsAttribute("kernel_shape", {g.kernel_height, g.kernel_width}),
       IntsAttribute("strides", {g.stride_height, g.stride_width}),
       IntsAttribute("pads", {g.pad_height, g.pad_width, g.pad_height, g.pad_width}),
       IntsAttribute("dilations", {g.dilation_height, g.dilation_width}), IntAttribute("group", g.groups)});
}

// sum over the digits of 2^(bits p) (x * digit p), in doubles.
OnnxSums ConvByDigits(OnnxValues& values, int i, const ConvGeometry& geometry, Weights weights, const std::string& x,
                      int bits) {
  OnnxGraph& graph = values.graph();
  const std::string hint = values.Hint(i, "sum");
  std::string sum;
  for (double factor = 1;; factor *= 1 << bits) {
    // The last digit has the sign, the others are unsigned.
    const auto [least, most] = std::minmax_element(weights.codes.begin(), weights.codes.end());
    const bool is_last = *least >= -(1 << (bits - 1)) && *most < (1 << (bits - 1));
    Weights digits = weights;
    digits.encoding = {is_last ? EncodingKind::kTwosComplement : EncodingKind::kUnsigned, bits};
    if (!is_last) {
      for (int64_t& code : digits.codes) code &= (1 << bits) - 1;
      for (int64_t& code : weights.codes) code >>= bits;
    }
    const std::string part = Conv(values, i, geometry, x, WeightTensor(values, values.Hint(i, "digit"), digits));
    const std::string wide = graph.Cast(part, onnx::TensorProto::DOUBLE, hint + "/wide");
    const std::string term =
        factor == 1 ? wide : graph.Node("Mul", {wide, graph.DoubleScalar(factor)}, hint + "/shifted");
    sum = sum.empty() ? term : graph.Node("Add", {sum, term}, hint + "/added");
    if (is_last) return {sum, onnx::TensorProto::DOUBLE};
  }
}

absl::StatusOr<OnnxSums> ConvSums(OnnxValues& values, int i, const ConvGeometry& geometry, const Weights& weights,
                                  const std::string& x, bool requantized) {
  const Encoding& encoding = values.model().value(values.instruction(i).operands(0)).encoding;
  const int64_t k = geometry.patch_size();
  const bool exact = SumsAreIntegers(encoding, weights.encoding, k, requantized);
  if (!exact || SumBound(encoding, weights.encoding, k) <= kMaxExactFloatInteger) {
    const std::string w = WeightTensor(values, values.Hint(i, "weight"), weights);
    return OnnxSums{Conv(values, i, geometry, x, w), onnx::TensorProto::FLOAT, exact};
  }
  // Digits of d bits are at most 2^d - 1.
  const int64_t largest = kMaxExactFloatInteger / k / encoding.max_code();
  if (largest < 1) {
    return values.Refuse(i, absl::StrCat("sums of ", k, " codes up to ", encoding.max_code(), " exceed 2^24"),
                         "no dialect can, because ONNX Runtime's convolutions are of floats");
  }
  const int bits = std::min(8, static_cast<int>(std::bit_width(static_cast<uint64_t>(largest) + 1)) - 1);
  return ConvByDigits(values, i, geometry, weights, x, bits);
}

// y = sums * scale, or codes by thresholds or shifts: what linear, conv2d and tap_conv2d have in common.
template <typename Product>
absl::Status Finish(OnnxValues& values, int i, const Product& product, const OnnxSums& sums, ImageLayout layout) {
  OnnxGraph& graph = values.graph();
  if constexpr (!std::is_same_v<Product, packed::TapConv2d>) {
    if (product.has_requantize()) {
      const packed::Instruction& instruction = values.instruction(i);
      const int shortcut = instruction.operands_size() > 1 ? instruction.operands(1) : -1;
      return AddOnnxRequantize(values, i, product.requantize(), sums, shortcut, layout);
    }
    if (product.has_threshold()) return AddOnnxThreshold(values, i, product.threshold(), sums.tensor, layout);
  }
  std::string y = sums.tensor;
  if (sums.type != onnx::TensorProto::FLOAT) {
    y = graph.Cast(y, onnx::TensorProto::FLOAT, values.Hint(i, "rounded_sum"));
  } else if (sums.is_exact && values.dialect() != OnnxDialect::kQonnx) {
    // It changes nothing, for the sums are whole numbers. But without it ONNX Runtime would multiply the weights by the
    // scale, and the sums would be none any more.
    y = graph.Node("Round", {y}, values.Hint(i, "whole_sum"));
  }
  if (product.has_scales()) {
    std::vector<float> scales;
    for (const float scale : values.model().floats(product.scales())) scales.push_back(product.scale() * scale);
    y = graph.Node("Mul", {y, values.PerChannel(values.Hint(i, "scales"), scales, i + 1, layout)},
                   values.Hint(i, "scaled"));
  } else if (product.scale() != 1.0f) {
    y = graph.Node("Mul", {y, graph.Scalar(product.scale())}, values.Hint(i, "scaled"));
  }
  values.SetFloats(i + 1, layout, y);
  return absl::OkStatus();
}

// Filters [O, R, S, C / G] become [O, C / G, R, S].
void SwapFilters(const ConvGeometry& g, Weights& weights) {
  std::vector<int64_t> order;
  const int64_t taps = g.kernel_height * g.kernel_width, channels = g.group_channels();
  for (int64_t o = 0; o < g.filters; ++o) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) order.push_back((o * taps + tap) * channels + c);
    }
  }
  weights.Reorder(order);
  weights.shape = {g.filters, channels, g.kernel_height, g.kernel_width};
}

}  // namespace

absl::Status AddOnnxLinear(OnnxValues& values, int i) {
  const packed::Linear& linear = values.instruction(i).linear();
  Weights weights = WeightsOf(values.model(), linear.weight());
  BITGRAD_RETURN_IF_ERROR(CheckCanSay(values, i, "weights", weights.encoding));
  const Shape shape = ShapeOf(values.model().blob(linear.weight()));
  const int64_t out = shape.rows(), in = shape.cols();
  std::vector<int64_t> order;
  for (int64_t k = 0; k < in; ++k) {
    for (int64_t o = 0; o < out; ++o) order.push_back(o * in + k);
  }
  weights.Reorder(order);
  weights.shape = {in, out};
  const std::string x = values.Terms(values.instruction(i).operands(0), ImageLayout::kChannelsLast);
  const OnnxSums sums = LinearSums(values, i, weights, x, in, linear.has_requantize());
  return Finish(values, i, linear, sums, ImageLayout::kChannelsLast);
}

absl::Status AddOnnxConv2d(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const packed::Conv2d& conv = values.instruction(i).conv2d();
  const int operand = values.instruction(i).operands(0);
  const PackedValue& value = values.model().value(operand);
  Weights weights = WeightsOf(values.model(), conv.weight());
  BITGRAD_RETURN_IF_ERROR(CheckCanSay(values, i, "weights", weights.encoding));
  BITGRAD_ASSIGN_OR_RETURN(ConvGeometry geometry,
                           GeometryOf(conv, value.example, ShapeOf(values.model().blob(conv.weight()))));
  SwapFilters(geometry, weights);
  std::string x = values.Terms(operand, ImageLayout::kChannelsFirst);
  if (geometry.padding != Padding::kZero && geometry.has_border()) {
    float border = geometry.padding == Padding::kPlusOne ? 1.0f : -1.0f;
    if (value.is_coded()) {
      int32_t code = 0;
      BorderCode(value.encoding, value.scale, geometry.padding, &code);
      border = static_cast<float>(code);
    }
    const int64_t height = geometry.pad_height, width = geometry.pad_width;
    x = graph.Node("Pad", {x, graph.Index({0, 0, height, width, 0, 0, height, width}), graph.Scalar(border)},
                   values.Hint(i, "with_border"));
    geometry = WithBorderInImage(geometry);
  }
  BITGRAD_ASSIGN_OR_RETURN(const OnnxSums sums, ConvSums(values, i, geometry, weights, x, conv.has_requantize()));
  return Finish(values, i, conv, sums, ImageLayout::kChannelsFirst);
}

absl::Status AddOnnxTapConv2d(OnnxValues& values, int i) {
  const packed::TapConv2d& conv = values.instruction(i).tap_conv2d();
  const int operand = values.instruction(i).operands(0);
  Weights weights = WeightsOf(values.model(), conv.weight());
  BITGRAD_ASSIGN_OR_RETURN(const ConvGeometry g, GeometryOf(conv, values.model().value(operand).example));
  // Whole kernels, zero but for the tap.
  const std::vector<int64_t> taps = CodesOf(values.model(), conv.taps());
  std::vector<int64_t> order;
  for (size_t kernel = 0; kernel < taps.size(); ++kernel) {
    for (int64_t tap = 0; tap < g.kernel_height * g.kernel_width; ++tap) {
      order.push_back(tap == taps[kernel] ? static_cast<int64_t>(kernel) : -1);
    }
  }
  weights.Reorder(order);
  weights.shape = {g.filters, g.channels, g.kernel_height, g.kernel_width};
  // Zero need not be one of the codes: all zeros and codes up to max_code are two's complement codes, or ternary ones.
  const Encoding encoding = weights.encoding;
  if (encoding.is_integer() && !encoding.is_log()) {
    const bool is_ternary = encoding.max_code() == 1;
    const int bits = std::bit_width(static_cast<uint64_t>(encoding.max_code())) + 1;
    weights.encoding = is_ternary ? Encoding{EncodingKind::kTernary, 2} : Encoding{EncodingKind::kTwosComplement, bits};
    if (encoding.kind == EncodingKind::kUnsigned || encoding.kind == EncodingKind::kTwosComplement) {
      weights.encoding = encoding;
    }
  }
  BITGRAD_RETURN_IF_ERROR(CheckCanSay(values, i, "weights", weights.encoding));
  const std::string x = values.Terms(operand, ImageLayout::kChannelsFirst);
  // An output adds up one product for each channel.
  const Encoding& x_encoding = values.model().value(operand).encoding;
  const bool exact = SumsAreIntegers(x_encoding, encoding, g.channels, /*requantized=*/false) &&
                     SumBound(x_encoding, encoding, g.channels) <= kMaxExactFloatInteger;
  const std::string w = WeightTensor(values, values.Hint(i, "weight"), weights);
  const OnnxSums sums{Conv(values, i, g, x, w), onnx::TensorProto::FLOAT, exact};
  return Finish(values, i, conv, sums, ImageLayout::kChannelsFirst);
}

}  // namespace bitgrad
