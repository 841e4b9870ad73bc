// Fixed-point codes (message Requantize): integers of up to 32 bits, computed in doubles, which hold them exactly. A
// shift is a product with a power of two, rounded down.
//
//   shift_right(v, s) = floor((v + 2^(s - 1)) 2^-s) for s > 0;  v 2^-s else

#include <cmath>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/onnx_codes.h"
#include "bitgrad/export/onnx_steps.h"
#include "bitgrad/runtime/blob_codes.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

constexpr int kBitsOfSums = 32;

std::string AsDoubles(OnnxValues& values, const std::string& hint, const std::string& x,
                      onnx::TensorProto::DataType type) {
  if (type == onnx::TensorProto::DOUBLE) return x;
  return values.graph().Cast(x, onnx::TensorProto::DOUBLE, hint + "/wide");
}

// QONNX's Trunc leaves bits away, of which it is told how many there are before and after.
std::string Trunc(OnnxValues& values, const std::string& hint, const std::string& x, int shift) {
  OnnxGraph& graph = values.graph();
  return graph.Node("Trunc",
                    {x, graph.Scalar(1), graph.Scalar(0), graph.Scalar(kBitsOfSums),
                     graph.Scalar(static_cast<float>(kBitsOfSums - shift))},
                    hint + "/trunc", {StringAttribute("rounding_mode", "FLOOR")}, kQonnxDomain);
}

std::string ShiftRight(OnnxValues& values, const std::string& hint, const std::string& x, int shift) {
  OnnxGraph& graph = values.graph();
  if (shift == 0) return x;
  if (shift < 0) return graph.Node("Mul", {x, graph.DoubleScalar(std::ldexp(1.0, -shift))}, hint + "/left");
  const std::string half = graph.Node("Add", {x, graph.DoubleScalar(std::ldexp(1.0, shift - 1))}, hint + "/half");
  if (values.dialect() == OnnxDialect::kQonnx) return Trunc(values, hint, half, shift);
  const std::string small = graph.Node("Mul", {half, graph.DoubleScalar(std::ldexp(1.0, -shift))}, hint + "/right");
  return graph.Node("Floor", {small}, hint + "/shifted");
}

// ShiftRight() of a number, as doubles.
double ShiftedLeft(int32_t v, int shift) {
  return shift >= 0 ? std::ldexp(static_cast<double>(v), shift)
                    : std::floor(std::ldexp(static_cast<double>(v) + std::ldexp(1.0, -shift - 1), shift));
}

// clamp(x) to the codes of the encoding, as floats.
std::string Clamped(OnnxValues& values, const std::string& hint, const Encoding& encoding, const std::string& x) {
  OnnxGraph& graph = values.graph();
  const double least = static_cast<double>(encoding.least_code());
  const double most = static_cast<double>(encoding.code(encoding.largest_stored()));
  const std::string clipped =
      graph.Node("Clip", {x, graph.DoubleScalar(least), graph.DoubleScalar(most)}, hint + "/clamped");
  return graph.Cast(clipped, onnx::TensorProto::FLOAT, hint + "/narrow");
}

}  // namespace

absl::Status AddOnnxRequantize(OnnxValues& values, int i, const packed::Requantize& requantize, const OnnxSums& sums,
                               int shortcut, ImageLayout layout) {
  OnnxGraph& graph = values.graph();
  const std::string hint = values.Hint(i, "requantize");
  std::string x = AsDoubles(values, hint, sums.tensor, sums.type);
  if (requantize.has_bias()) {
    std::vector<double> biases;
    for (const int32_t bias : values.model().ints(requantize.bias())) {
      biases.push_back(ShiftedLeft(bias, requantize.bias_shift()));
    }
    const std::string bias = values.PerChannelDoubles(values.Hint(i, "bias"), biases, i + 1, layout);
    x = graph.Node("Add", {x, bias}, hint + "/biased");
  }
  if (shortcut >= 0) {
    const std::string codes =
        AsDoubles(values, hint + "/shortcut", values.Terms(shortcut, layout), onnx::TensorProto::FLOAT);
    const std::string shifted = ShiftRight(values, hint + "/shortcut", codes, -requantize.shortcut_shift());
    x = graph.Node("Add", {x, shifted}, hint + "/with_shortcut");
  }
  if (requantize.encoding() == packed::Blob::UNSPECIFIED) {
    const std::string rounded = graph.Cast(x, onnx::TensorProto::FLOAT, hint + "/rounded");
    const float scale = ScaleOfFraction(requantize.fraction_bits());
    values.SetFloats(i + 1, layout, graph.Node("Mul", {rounded, graph.Scalar(scale)}, hint + "/scaled"));
    return absl::OkStatus();
  }
  const Encoding encoding = EncodingOf(requantize);
  x = Clamped(values, hint, encoding, ShiftRight(values, hint, x, requantize.shift()));
  x = SayCodes(values, hint, encoding, x);
  if (requantize.has_flips()) {
    const int64_t most = encoding.code(encoding.largest_stored());
    x = Flipped(values, i, x, requantize.flips(), encoding.least_code(), most, layout);
  }
  values.SetCodes(i + 1, layout, x);
  return absl::OkStatus();
}

absl::Status AddOnnxShifts(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const packed::Instruction& instruction = values.instruction(i);
  const auto wide = [&](int operand, ImageLayout layout) {
    return AsDoubles(values, values.Hint(i, "operand"), values.Terms(operand, layout), onnx::TensorProto::FLOAT);
  };
  if (instruction.has_shift_add()) {
    const packed::ShiftAdd& add = instruction.shift_add();
    const ImageLayout layout = values.LayoutOf(instruction.operands(0));
    std::vector<std::string> terms;
    for (int k = 0; k < 2; ++k) {
      terms.push_back(
          ShiftRight(values, values.Hint(i, "operand"), wide(instruction.operands(k), layout), -add.left_shifts(k)));
    }
    const OnnxSums sums{graph.Node("Add", terms, values.Hint(i, "sum")), onnx::TensorProto::DOUBLE};
    return AddOnnxRequantize(values, i, add.requantize(), sums, /*shortcut=*/-1, layout);
  }
  const packed::ShiftConcat& concat = instruction.shift_concat();
  const Encoding encoding = EncodingOf(concat.requantize());
  const std::string hint = values.Hint(i, "requantize");
  std::vector<std::string> parts;
  for (int k = 0; k < instruction.operands_size(); ++k) {
    const std::string x = wide(instruction.operands(k), ImageLayout::kChannelsLast);
    parts.push_back(Clamped(values, hint, encoding, ShiftRight(values, hint, x, concat.shifts(k))));
  }
  const std::string codes = graph.Node("Concat", parts, values.Hint(i, "concat"), {IntAttribute("axis", -1)});
  values.SetCodes(i + 1, ImageLayout::kChannelsLast, SayCodes(values, hint, encoding, codes));
  return absl::OkStatus();
}

absl::Status AddOnnxFixedPoint(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const packed::FixedPoint& fixed_point = values.instruction(i).fixed_point();
  const int operand = values.instruction(i).operands(0);
  const PackedValue& value = values.model().value(i + 1);
  const ImageLayout layout = ImageLayout::kChannelsLast;
  const std::string hint = values.Hint(i, "fixed_point");
  std::string x = values.Floats(operand, layout);
  // The place in the last dimension modulo the number of channels.
  const auto per_channel = [&](const char* what, int blob) {
    const absl::Span<const float> channels = values.model().floats(blob);
    std::vector<float> numbers;
    for (int64_t j = 0; j < value.example.cols(); ++j) numbers.push_back(channels[j % channels.size()]);
    return values.PerChannel(values.Hint(i, what), numbers, i + 1, layout);
  };
  if (fixed_point.has_mean()) {
    x = graph.Node("Sub", {x, per_channel("mean", fixed_point.mean())}, hint + "/centered");
    x = graph.Node("Mul", {x, per_channel("inv_std", fixed_point.inv_std())}, hint + "/normalized");
  }
  x = graph.Node("Mul", {x, graph.Scalar(ScaleOfFraction(-fixed_point.fraction_bits()))}, hint + "/scaled");
  x = graph.Node("Round", {x}, hint + "/whole");
  const Encoding& encoding = value.encoding;
  const float least = static_cast<float>(encoding.least_code());
  const float most = static_cast<float>(encoding.code(encoding.largest_stored()));
  x = graph.Node("Clip", {x, graph.Scalar(least), graph.Scalar(most)}, hint + "/clamped");
  values.SetCodes(i + 1, layout, SayCodes(values, hint, encoding, x));
  return absl::OkStatus();
}

}  // namespace bitgrad
