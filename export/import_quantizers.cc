#include "bitgrad/export/import_quantizers.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "bitgrad/core/number_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/encoding_of_codes.h"
#include "bitgrad/ops/quantizers/lsq.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/ternary.h"

namespace bitgrad {
namespace {

constexpr int kMostBits = 8;  // of what becomes codes

absl::StatusOr<double> ReadNumber(const ImportNode& node, absl::Span<const ImportTensor* const> inputs, size_t k,
                                  const char* what) {
  if (k >= inputs.size() || inputs[k] == nullptr) {
    return node.Unsupported("its ", what, " is computed; it has to be a constant: export the net in evaluation mode");
  }
  if (inputs[k]->size() != 1) return node.Unsupported("its ", what, " is ", inputs[k]->size(), " numbers, not one");
  return inputs[k]->at(0);
}

absl::Status ReadScales(const ImportNode& node, const Shape& x, const ImportTensor* scale, QuantizerOfNode& result) {
  if (scale == nullptr) {
    return node.Unsupported(
        "its scale is computed; it has to be a constant: export the net in evaluation mode, with static quantizers");
  }
  if (scale->is_integer || scale->size() < 1) return node.Error("its scale is no float");
  for (const float s : scale->floats) {
    if (!(s > 0) || !std::isfinite(s)) return node.Error("its scale ", s, " is not positive");
  }
  result.scales = scale->floats;
  const Shape& shape = scale->shape;
  if (scale->size() == 1) return absl::OkStatus();
  // Equal scales are one.
  if (std::all_of(result.scales.begin(), result.scales.end(), [&](float s) { return s == result.scales[0]; })) {
    result.scales.resize(1);
    return absl::OkStatus();
  }
  // Those of QuantizeLinear are a vector along its axis; Quant's are broadcast.
  result.axis = static_cast<int>(node.Int("axis", 1));
  if (node.op() == "Quant" || node.op() == "BipolarQuant") {
    for (int d = 0; d < shape.rank(); ++d) {
      if (shape.dim(d) == scale->size()) result.axis = d + x.rank() - shape.rank();
    }
  }
  if (result.axis < 0) result.axis += x.rank();
  if (result.axis < 0 || result.axis >= x.rank() || x.dim(result.axis) != scale->size()) {
    return node.Unsupported("its scale of shape ", shape.ToString(), " is not one number, or one for each slice of ",
                            x.ToString());
  }
  return absl::OkStatus();
}

absl::Status CheckZeroPoint(const ImportNode& node, const ImportTensor* zero, bool required) {
  if (zero == nullptr) {
    return required ? node.Unsupported("its zero point is computed; it has to be a constant") : absl::OkStatus();
  }
  for (int64_t i = 0; i < zero->size(); ++i) {
    if (zero->at(i) == 0) continue;
    return node.Unsupported("its zero point is ", zero->at(i), "; only 0 is read: use a symmetric quantizer");
  }
  return absl::OkStatus();
}

// Exporters write it in capitals or not.
std::string RoundingOf(const ImportNode& node, absl::string_view otherwise) {
  const std::string rounding = absl::AsciiStrToUpper(node.String("rounding_mode", otherwise));
  return rounding == "HALF_EVEN" ? "ROUND" : rounding;
}

double RoundedBy(const std::string& mode, double t) {
  if (mode == "FLOOR") return std::floor(t);
  if (mode == "CEIL") return std::ceil(t);
  if (mode == "ROUND_TO_ZERO") return std::trunc(t);
  return std::nearbyint(t);  // ties to even
}

// The scale of element i.
float ScaleAt(const ImportTensor& x, const std::vector<float>& scales, int axis, int64_t i) {
  if (scales.size() == 1) return scales[0];
  return scales[static_cast<size_t>(i / StridesOf(x.shape)[axis] % x.shape.dim(axis))];
}

}  // namespace

absl::StatusOr<QuantizerOfNode> ReadQuantizer(const ImportNode& node, const Shape& x,
                                              absl::Span<const ImportTensor* const> inputs) {
  QuantizerOfNode result;
  const auto input = [&](size_t k) { return k < inputs.size() ? inputs[k] : nullptr; };
  BITGRAD_RETURN_IF_ERROR(ReadScales(node, x, input(1), result));
  if (node.op() == "BipolarQuant") {
    result.is_sign = true;
    return result;
  }
  const bool is_quant = node.op() == "Quant" || node.op() == "IntQuant";
  if (node.has_input(2)) BITGRAD_RETURN_IF_ERROR(CheckZeroPoint(node, input(2), true));
  if (!is_quant) {
    // The range is that of the zero point's type, which is uint8 where there is none. A Clip may narrow it.
    const bool is_unsigned = input(2) == nullptr || input(2)->data_type == onnx::TensorProto::UINT8;
    if (!is_unsigned && input(2)->data_type != onnx::TensorProto::INT8 && node.op() == "QuantizeLinear") {
      return node.Unsupported("its zero point is of type ", input(2)->data_type, "; int8 and uint8 are read");
    }
    result.least = is_unsigned ? 0 : -128;
    result.most = is_unsigned ? 255 : 127;
    return result;
  }
  BITGRAD_ASSIGN_OR_RETURN(const double bits, ReadNumber(node, inputs, 3, "bit width"));
  if (!(bits >= 1 && bits <= 32) || bits != std::floor(bits)) {
    return node.Unsupported("its bit width is ", bits, ", no whole number from 1 to 32");
  }
  const bool is_signed = node.Int("signed", 1) != 0, narrow = node.Int("narrow", 0) != 0;
  const double half = std::exp2(bits - (is_signed ? 1 : 0));
  result.least = is_signed ? -half + (narrow ? 1 : 0) : 0;
  result.most = half - 1 - (!is_signed && narrow ? 1 : 0);
  if (!(result.least < result.most)) return node.Unsupported("it has one value only");
  result.rounding = RoundingOf(node, "ROUND");
  for (const char* known : {"ROUND", "FLOOR", "CEIL", "ROUND_TO_ZERO"}) {
    if (result.rounding == known) return result;
  }
  return node.Unsupported("its rounding_mode '", result.rounding, "' is not read");
}

float CodeOf(const QuantizerOfNode& quantizer, float x, float scale) {
  if (quantizer.is_sign) return x >= 0 ? 1.0f : -1.0f;
  const double code = std::clamp(RoundedBy(quantizer.rounding, x / scale), quantizer.least, quantizer.most);
  return static_cast<float>(code);
}

absl::Status CheckOneScale(const ImportNode& node, const QuantizerOfNode& quantizer) {
  if (quantizer.scales.size() == 1) return absl::OkStatus();
  return node.Unsupported("it quantizes values with a scale for each channel, which a product could not factor out; ",
                          "use one scale for the tensor");
}

absl::StatusOr<ImportTensor> QuantizeConstant(const ImportNode& node, const ImportTensor& x,
                                              const QuantizerOfNode& quantizer) {
  if (x.is_integer) return node.Error("it quantizes integers");
  ImportTensor y = x;
  y.codes =
      ImportCodes{.codes = std::vector<int32_t>(x.floats.size()), .scales = quantizer.scales, .axis = quantizer.axis};
  for (int64_t i = 0; i < x.size(); ++i) {
    const float scale = ScaleAt(x, quantizer.scales, quantizer.axis, i);
    const double code = CodeOf(quantizer, x.floats[i], scale);
    y.codes->codes[i] = static_cast<int32_t>(std::clamp(code, -2147483647.0, 2147483647.0));
    y.floats[i] = static_cast<float>(y.codes->codes[i]) * scale;
  }
  return y;
}

absl::StatusOr<ImportTensor> DequantizeConstant(const ImportNode& node, const ImportTensor& x,
                                                const QuantizerOfNode& quantizer) {
  if (!x.is_integer) return node.Error("it takes integers");
  ImportTensor y = {.shape = x.shape, .floats = {}, .ints = {}, .is_integer = false, .data_type = 0, .codes = {}};
  y.codes = ImportCodes{.codes = {}, .scales = quantizer.scales, .axis = quantizer.axis};
  for (int64_t i = 0; i < x.size(); ++i) {
    if (std::abs(x.ints[i]) > 2147483647) return node.Error("a number is too large");
    y.codes->codes.push_back(static_cast<int32_t>(x.ints[i]));
    y.floats.push_back(static_cast<float>(x.ints[i]) * ScaleAt(x, quantizer.scales, quantizer.axis, i));
  }
  return y;
}

absl::StatusOr<Imported> QuantizeValue(ImportGraph& graph, const ImportNode& node, const Imported& x,
                                       const QuantizerOfNode& quantizer) {
  BITGRAD_RETURN_IF_ERROR(CheckOneScale(node, quantizer));
  const bool is_floor = quantizer.rounding == "FLOOR";
  if (quantizer.rounding != "ROUND" && !is_floor) {
    return node.Unsupported("it quantizes values with rounding_mode '", quantizer.rounding,
                            "'; ROUND and FLOOR are read");
  }
  const float s = quantizer.scales[0];
  Imported y = {.id = x.id, .shape = x.shape, .is_image = x.is_image, .columns = x.columns};
  // floor(t) = round(t - 1/2), ties up.
  if (is_floor) y.id = graph.AddNumber(y.id, Binary::kAdd, -0.5f * s);
  const auto finish = [&](const PackedQuantizer& q) -> absl::StatusOr<Imported> {
    BITGRAD_ASSIGN_OR_RETURN(y.id, graph.AddQuantize(y.id, q));
    y.nonnegative = q.encoding().kind == EncodingKind::kUnsigned;
    return y;
  };
  const auto scaled = [&](const Quantizer& q) {
    return s == 1 ? PackedQuantizer{.quantizer = q} : PackedQuantizer{.quantizer = q.WithLearnedScale(), .scale = s};
  };
  if (quantizer.is_sign) return finish(scaled(Sign()));
  const double least = quantizer.least, most = quantizer.most;
  int exponent;
  const bool is_power = std::frexp(s, &exponent) == 0.5f;  // s = 2^(exponent - 1)
  --exponent;
  if (least == -1 && most == 1 && !is_floor) {
    float threshold = 0.5f * s;
    const float down = threshold > 0.9f ? std::ldexp(1.0f, -exponent - 1) : 1.0f;
    threshold *= down;
    const PackedQuantizer q = scaled(Ternary(threshold));
    // The file keeps the threshold as text.
    if (const absl::StatusOr<Quantizer> read = ParseQuantizer(q.quantizer.ToString());
        read.ok() && *read == q.quantizer) {
      if (down != 1) y.id = graph.AddNumber(y.id, Binary::kMul, down);
      return finish(q);
    }
  }
  const bool is_signed = least < 0;
  int bits = is_signed ? 2 : 1;
  const auto least_of = [&] { return is_signed ? -std::exp2(bits - 1) : 0.0; };
  const auto most_of = [&] { return std::exp2(is_signed ? bits - 1 : bits) - 1; };
  while (least_of() > least || most_of() < most) ++bits;
  if (bits > kMostBits) {
    return node.Unsupported("it quantizes values to [", least, ", ", most, "], which needs more than ", kMostBits,
                            " bits; quantize activations to at most ", kMostBits);
  }
  bool clips = least_of() != least || most_of() != most;
  // fixed(n + 1, i) has the multiples of 2^(i - n) with factors in +-(2^n - 1).
  const bool is_symmetric = least == -most && most == most_of();
  const int n = is_symmetric ? bits - 1 : bits;
  if (is_power && !is_floor && exponent + n >= NumberFormat::kLeastRange && exponent + n <= NumberFormat::kMostRange) {
    y.id = graph.AddRound(y.id, {.kind = NumberFormatKind::kFixed, .bits = n + 1, .range = exponent + n});
    clips &= !is_symmetric;
  }
  if (clips) y.id = graph.AddClip(y.id, static_cast<float>(least * s), static_cast<float>(most * s));
  return finish(
      {.quantizer = Lsq(bits).In(is_signed ? QuantizerRole::kWeight : QuantizerRole::kActivation), .variable = s});
}

absl::StatusOr<Imported> TruncateValue(ImportGraph& graph, const ImportNode& node, const Imported& x,
                                       absl::Span<const ImportTensor* const> inputs) {
  const bool is_second = inputs.size() == 6;  // the second version of the op names the scale of the result
  if (!is_second && inputs.size() != 5) return node.Unsupported("it has ", inputs.size(), " operands, not 5 or 6");
  BITGRAD_ASSIGN_OR_RETURN(const double s, ReadNumber(node, inputs, 1, "scale"));
  BITGRAD_RETURN_IF_ERROR(CheckZeroPoint(node, inputs[2], true));
  BITGRAD_ASSIGN_OR_RETURN(const double from, ReadNumber(node, inputs, 3, "input bit width"));
  BITGRAD_ASSIGN_OR_RETURN(const double to, ReadNumber(node, inputs, is_second ? 5 : 4, "output bit width"));
  if (!(to >= 1 && from >= 1 && from <= 32 && to <= 32) || to != std::floor(to) || from != std::floor(from)) {
    return node.Unsupported("it goes from ", from, " to ", to, " bits, no whole numbers from 1 to 32");
  }
  double out_scale = s, dropped = from - to;  // bits
  bool is_signed = !x.nonnegative, narrow = false;
  if (is_second) {
    BITGRAD_ASSIGN_OR_RETURN(out_scale, ReadNumber(node, inputs, 4, "output scale"));
    dropped = std::nearbyint(std::log2(out_scale / s));
    is_signed = node.Int("signed", 1) != 0;
    narrow = node.Int("narrow", 0) != 0;
  }
  if (!(s > 0 && out_scale > 0 && dropped >= 0 && dropped <= 20)) {
    return node.Unsupported("its scales ", s, " and ", out_scale, " drop ", dropped, " bits; from 0 to 20 are read");
  }
  const std::string rounding = RoundingOf(node, "FLOOR");
  const float unit = static_cast<float>(std::exp2(dropped));  // T
  float shift = 0;
  // Halfway between two multiples there is no whole number then.
  if (rounding == "FLOOR") shift = -0.5f * (unit - 1);
  if (rounding == "CEIL") shift = 0.5f * (unit - 1);
  if (rounding != "FLOOR" && rounding != "CEIL" && rounding != "ROUND") {
    return node.Unsupported("its rounding_mode '", rounding, "' is not read");
  }
  constexpr int kBits = 25;  // whole numbers up to 2^24
  const auto round = [&](int id, int step) {
    return graph.AddRound(id, {.kind = NumberFormatKind::kFixed, .bits = kBits, .range = kBits - 1 + step});
  };
  Imported y = x;
  if (s != 1) y.id = graph.AddNumber(y.id, Binary::kMul, static_cast<float>(1 / s));
  y.id = round(y.id, 0);
  if (shift != 0) y.id = graph.AddNumber(y.id, Binary::kAdd, shift);
  if (dropped > 0) y.id = round(y.id, static_cast<int>(dropped));
  const float factor = static_cast<float>(out_scale) / unit;
  if (factor != 1) y.id = graph.AddNumber(y.id, Binary::kMul, factor);
  const double half = std::exp2(to - (is_signed ? 1 : 0));
  return QuantizeValue(graph, node, y,
                       {.scales = {static_cast<float>(out_scale)},
                        .least = is_signed ? -half + (narrow ? 1 : 0) : 0,
                        .most = half - 1 - (!is_signed && narrow ? 1 : 0)});
}

int AddWeight(ImportGraph& graph, const std::string& name, const ImportTensor& w, const Shape& shape,
              const WeightOrder& order, std::string* why_float) {
  const size_t count = order.index.size();
  const auto floats = [&](const std::string& why) {
    *why_float = why;
    std::vector<float> values;
    for (const int64_t i : order.index) values.push_back(static_cast<float>(w.at(i)));
    return graph.AddFloats(name, shape, std::move(values));
  };
  if (!w.codes.has_value()) return floats("its weights are not quantized");
  std::vector<int32_t> codes;
  for (const int64_t i : order.index) codes.push_back(w.codes->codes[i]);
  const Encoding encoding = EncodingOfCodes(codes);
  if (!encoding.is_integer()) return floats("its weights have more than 8 bits");
  std::vector<float> scales;
  for (size_t e = 0; e < count; ++e) {
    const float scale = ScaleAt(w, w.codes->scales, w.codes->axis, order.index[e]);
    if (e % order.cols == 0) scales.push_back(scale);
    if (scale != scales.back()) return floats("its weights have scales that are not one for each output");
  }
  auto coded = std::make_shared<CodedTensor>();
  coded->encoding = encoding;
  coded->matrix = Shape({order.rows, order.cols});
  if (encoding.kind == EncodingKind::kBinary) {
    auto bits = std::make_shared<BitMatrix>(BitMatrix::Zeros(order.rows, order.cols));
    const BitMatrixView view = bits->mutable_view();
    for (size_t e = 0; e < count; ++e) {
      const int64_t j = static_cast<int64_t>(e) % order.cols;
      if (codes[e] > 0) view.row(static_cast<int64_t>(e) / order.cols)[j / 64] |= uint64_t{1} << (j % 64);
    }
    coded->bits = std::move(bits);
  } else {
    coded->codes = Tensor(coded->matrix, DType::kUint8);
    uint8_t* const stored = coded->codes.mutable_data<uint8_t>();
    for (size_t e = 0; e < count; ++e) stored[e] = static_cast<uint8_t>(encoding.stored(codes[e]));
  }
  if (w.codes->scales.size() == 1) {
    coded->factor = scales[0];
  } else {
    coded->scale = Tensor::Of<float>({order.rows}, scales);
  }
  return graph.AddCodes(name, shape, std::move(coded));
}

}  // namespace bitgrad
