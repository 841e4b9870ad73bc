// quantize and fixed_point: floats or pixels become codes.

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/c_code/c_emitter.h"
#include "bitgrad/export/c_code/quantizer_steps.h"

namespace bitgrad {
namespace {

using packed::Instruction;

// The float of each pixel.
std::vector<float> PixelValues(const PackedModel& model) {
  const packed::PixelMapping& mapping = model.header().input().pixels();
  std::vector<float> values;
  for (int p = 0; p < 256; ++p) {
    const float product = mapping.multiplier() * static_cast<float>(p);
    values.push_back((product + mapping.offset()) / mapping.divisor());
  }
  return values;
}

// Codes of pixels by a table [channels, 256]; no table where the codes are the pixels.
void EmitTable(CEmitter& c, int i, int64_t channels, const std::vector<uint8_t>& table) {
  bool is_pixel = true;
  for (size_t p = 0; p < table.size(); ++p) is_pixel &= table[p] == p % 256;
  if (is_pixel) {
    c.Line("/* The codes are the pixels themselves. */");
    return c.SetCodes(i + 1, "pixels");
  }
  const std::string name =
      c.arrays().Add(c.layer() + "_table", c.layer() + ": the stored code of each pixel", absl::MakeConstSpan(table));
  c.Call("look_up", absl::StrCat(c.model().value(i + 1).features(), ", ", channels, ", ", name, ", pixels, ",
                                 c.Make(i + 1, Form::kCodes)));
}

absl::Status EmitQuantizer(CEmitter& c, int i, int operand) {
  const PackedQuantizer& quantizer = c.model().quantizer(i);
  const int64_t n = c.model().value(i + 1).features();
  c.Begin(i, absl::StrCat("quantize by ", quantizer.quantizer.ToString(), " to ", EncodingText(quantizer.encoding())));
  if (quantizer.quantizer.is_identity()) {
    c.Alias(i + 1, operand);
    return absl::OkStatus();
  }
  const bool is_coded = quantizer.encoding().is_integer();
  if (is_coded && c.IsPixels(operand)) {
    std::vector<uint8_t> table;
    for (const float stored : Quantized(quantizer, c.context(), PixelValues(c.model()))) {
      table.push_back(static_cast<uint8_t>(stored));
    }
    EmitTable(c, i, 1, table);
    return absl::OkStatus();
  }
  const absl::StatusOr<QuantizerSteps> steps = StepsOf(quantizer, c.context());
  if (!steps.ok()) {
    return absl::UnimplementedError(absl::StrCat(InstructionText(c.model(), i), ": ", steps.status().message(),
                                                 ", so it is no table of limits; use another quantizer"));
  }
  const std::string from = c.Use(operand, Form::kFloats);
  const auto levels = static_cast<int64_t>(steps->limits.size());
  if (c.model().value(i + 1).is_bits() && levels == 1 && steps->values[0] == 0 && steps->of_nan == 0 &&
      std::isfinite(steps->limits[0])) {
    c.Call("quantize_bits",
           absl::StrCat(n, ", ", FloatLiteral(steps->limits[0]), ", ", from, ", ", c.Make(i + 1, Form::kBits)));
    return absl::OkStatus();
  }
  if (levels == 0) {
    return absl::UnimplementedError(absl::StrCat(InstructionText(c.model(), i), ": quantizer '",
                                                 quantizer.quantizer.ToString(),
                                                 "' makes the same of every number; leave the layer out"));
  }
  const std::string limits =
      c.arrays().Add(c.layer() + "_limits", c.layer() + ": where the quantizer's steps are", steps->limits);
  if (is_coded) {
    c.Call("quantize_codes",
           absl::StrCat(n, ", ", levels, ", ", limits, ", ", static_cast<int>(steps->values[0]), ", ",
                        static_cast<int>(steps->of_nan), ", ", from, ", ", c.Make(i + 1, Form::kCodes)));
    return absl::OkStatus();
  }
  if (steps->of_nan == steps->of_nan) {
    return absl::UnimplementedError(absl::StrCat(InstructionText(c.model(), i), ": quantizer '",
                                                 quantizer.quantizer.ToString(),
                                                 "' makes a number of a NaN; use another quantizer"));
  }
  const std::string values =
      c.arrays().Add(c.layer() + "_values", c.layer() + ": the quantizer's values", steps->values);
  c.Call("quantize_values",
         absl::StrCat(n, ", ", levels, ", ", limits, ", ", values, ", ", from, ", ", c.Make(i + 1, Form::kFloats)));
  return absl::OkStatus();
}

absl::Status EmitFixedPoint(CEmitter& c, int i, int operand) {
  const PackedModel& model = c.model();
  const packed::FixedPoint& fixed_point = model.header().instructions(i).fixed_point();
  const Encoding& encoding = model.value(i + 1).encoding;
  const auto least = static_cast<float>(encoding.least_code());
  const auto most = static_cast<float>(encoding.code(encoding.largest_stored()));
  const float power = std::ldexp(1.0f, fixed_point.fraction_bits());
  c.Begin(i, absl::StrCat("to fixed-point codes of ", encoding.bits, " bits, ", fixed_point.fraction_bits(),
                          " of them fractional"));
  // Of (x - mean) inv_std 2^fraction_bits: the stored code, rounded to nearest with halves to even.
  const auto stored = [&](float product) {
    const float code = std::nearbyint(product);
    return (code >= most ? most : code > least ? code : least) - least;
  };
  std::vector<float> mean = {0}, inv_std = {1};
  if (fixed_point.has_mean()) {
    mean.assign(model.floats(fixed_point.mean()).begin(), model.floats(fixed_point.mean()).end());
    inv_std.assign(model.floats(fixed_point.inv_std()).begin(), model.floats(fixed_point.inv_std()).end());
  }
  const auto channels = static_cast<int64_t>(mean.size());
  if (c.IsPixels(operand)) {
    std::vector<uint8_t> table;
    for (int64_t channel = 0; channel < channels; ++channel) {
      for (float x : PixelValues(model)) {
        if (fixed_point.has_mean()) x = (x - mean[channel]) * inv_std[channel];
        table.push_back(static_cast<uint8_t>(stored(x * power)));
      }
    }
    EmitTable(c, i, channels, table);
    return absl::OkStatus();
  }
  const absl::StatusOr<QuantizerSteps> steps = StepsOf([&](absl::Span<const float> x) {
    std::vector<float> y;
    for (const float product : x) y.push_back(stored(product));
    return y;
  });
  BITGRAD_RETURN_IF_ERROR(steps.status());
  const std::string from = c.Use(operand, Form::kFloats);
  std::string vectors = "0, 0, ";
  if (fixed_point.has_mean()) {
    vectors =
        absl::StrCat(c.Floats(fixed_point.mean(), "mean"), ", ", c.Floats(fixed_point.inv_std(), "inv_std"), ", ");
  }
  const std::string limits = c.arrays().Add(c.layer() + "_limits", c.layer() + ": where codes begin", steps->limits);
  c.Call("fixed_point",
         absl::StrCat(model.value(i + 1).features(), ", ", channels, ", ", vectors, FloatLiteral(power), ", ",
                      steps->limits.size(), ", ", limits, ", ", from, ", ", c.Make(i + 1, Form::kCodes)));
  return absl::OkStatus();
}

}  // namespace

absl::Status EmitQuantize(CEmitter& c, int i) {
  const Instruction& instruction = c.model().header().instructions(i);
  const int operand = instruction.operands(0);
  return instruction.has_quantize() ? EmitQuantizer(c, i, operand) : EmitFixedPoint(c, i, operand);
}

}  // namespace bitgrad
