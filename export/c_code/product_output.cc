// What becomes of the sums of linear, conv2d and tap_conv2d: codes by shifts, codes by thresholds, or floats by scales.

#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/export/c_code/product.h"
#include "bitgrad/ops/kernels/shift_product.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

// The loop over output pixels, with two parts in it.
void Loop(CEmitter& c, const Product& product, const std::function<void()>& compute,
          const std::function<void()>& output) {
  c.BeginPixels(product.geometry.out_height(), product.geometry.out_width());
  compute();
  output();
  c.EndPixels();
}

void EmitShifts(CEmitter& c, const Product& product, const Sums& sums, const std::function<void()>& compute) {
  const PackedModel& model = product.model;
  const packed::Requantize& requantize = *product.requantize;
  const packed::Instruction& instruction = model.header().instructions(product.i);
  const int64_t out = product.geometry.filters;
  const std::string n = absl::StrCat(out, ", ");
  std::string bias, shortcut;
  if (requantize.has_bias()) {
    std::vector<int32_t> shifted;
    for (const int32_t b : model.ints(requantize.bias())) shifted.push_back(ShiftLeft(b, requantize.bias_shift()));
    bias = c.arrays().Add(c.layer() + "_bias", c.layer() + ": bias, shifted to the sums", absl::MakeConstSpan(shifted));
  }
  if (instruction.operands_size() > 1) shortcut = c.Use(instruction.operands(1), Form::kCodes);
  const auto compute_all = [&] {
    compute();
    if (!bias.empty()) c.Call("add", absl::StrCat(n, bias, ", ", sums.array));
    if (shortcut.empty()) return;
    c.Call("add_shortcut", absl::StrCat(n, model.value(instruction.operands(1)).encoding.least_code(), ", ",
                                        -requantize.shortcut_shift(), ", ", c.Row(shortcut, out), ", ", sums.array));
  };
  if (c.MakesResult(product.i)) {
    return Loop(c, product, compute_all,
                [&] { c.Call("copy_sums", absl::StrCat(n, sums.array, ", ", c.Row("result", out))); });
  }
  if (!product.y().is_coded()) {
    const std::string y = c.Make(product.i + 1, Form::kFloats);
    const std::string scale = FloatLiteral(ScaleOfFraction(requantize.fraction_bits()));
    return Loop(c, product, compute_all,
                [&] { c.Call("scale", absl::StrCat(n, scale, ", ", sums.array, ", ", c.Row(y, out))); });
  }
  const Encoding& encoding = product.y().encoding;
  const int64_t least = encoding.least_code(), most = encoding.code(encoding.largest_stored());
  const std::string y = c.Make(product.i + 1, Form::kCodes);
  const std::string flips = requantize.has_flips() ? c.Flags(requantize.flips(), "flips") : "";
  Loop(c, product, compute_all, [&] {
    c.Call("requantize",
           absl::StrCat(n, requantize.shift(), ", ", least, ", ", most, ", ", sums.array, ", ", c.Row(y, out)));
    if (flips.empty()) return;
    c.Call("flip_codes", absl::StrCat(n, encoding.largest_stored(), ", ", flips, ", ", c.Row(y, out)));
  });
}

void EmitThresholds(CEmitter& c, const Product& product, const Sums& sums, const std::function<void()>& compute) {
  const int64_t out = product.geometry.filters;
  const std::string thresholds = c.Ints(product.threshold->thresholds(), "thresholds");
  const std::string flips = c.Flags(product.threshold->flips(), "flips");
  const std::string arrays = absl::StrCat(thresholds, ", ", flips, ", ", sums.array, ", ");
  const bool is_bits = product.y().is_bits();
  const std::string y = c.Make(product.i + 1, is_bits ? Form::kBits : Form::kCodes);
  Loop(c, product, compute, [&] {
    if (is_bits) {
      const std::string at = c.Times(out);
      c.Call("threshold_bits" + sums.ending, absl::StrCat(out, ", ", arrays, y, ", ", at.empty() ? "0" : at));
    } else {
      c.Call("threshold_codes" + sums.ending,
             absl::StrCat(out, ", ", product.y().encoding.largest_stored(), ", ", arrays, c.Row(y, out)));
    }
  });
}

void EmitScales(CEmitter& c, const Product& product, const Sums& sums, const std::function<void()>& compute) {
  const int64_t out = product.geometry.filters;
  std::string kernel = "scale", scale = FloatLiteral(product.scale);
  if (product.scales >= 0) {
    std::vector<float> scales;
    for (const float s : product.model.floats(product.scales)) scales.push_back(product.scale * s);
    kernel = "scale_each";
    scale = c.arrays().Add(c.layer() + "_scales", c.layer() + ": scale of each output", absl::MakeConstSpan(scales));
  }
  const std::string y = c.Make(product.i + 1, Form::kFloats);
  Loop(c, product, compute,
       [&] { c.Call(kernel + sums.ending, absl::StrCat(out, ", ", scale, ", ", sums.array, ", ", c.Row(y, out))); });
}

}  // namespace

void EmitPixels(CEmitter& c, const Product& product, const Sums& sums, const std::function<void()>& compute) {
  if (product.requantize != nullptr) return EmitShifts(c, product, sums, compute);
  if (product.threshold != nullptr) return EmitThresholds(c, product, sums, compute);
  EmitScales(c, product, sums, compute);
}

}  // namespace bitgrad
