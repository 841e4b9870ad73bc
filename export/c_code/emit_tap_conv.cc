// tap_conv2d.

#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/export/c_code/c_emitter.h"
#include "bitgrad/export/c_code/product.h"
#include "bitgrad/export/c_code/product_arrays.h"
#include "bitgrad/runtime/blob_codes.h"
#include "bitgrad/runtime/image_geometry.h"

namespace bitgrad {

absl::Status EmitTapConv(CEmitter& c, int i) {
  const PackedModel& model = c.model();
  const packed::Instruction& instruction = model.header().instructions(i);
  const packed::TapConv2d& conv = instruction.tap_conv2d();
  const PackedValue& x = model.value(instruction.operands(0));
  const Encoding w = EncodingOf(model.blob(conv.weight()));
  Product product{.model = model, .i = i, .geometry = *GeometryOf(conv, x.example)};
  product.weight = conv.weight();
  product.scale = conv.scale();
  if (conv.has_scales()) product.scales = conv.scales();
  c.Begin(i, absl::StrCat("convolution with one tap of ", conv.kernel_height(), "x", conv.kernel_width(),
                          " for each filter and channel, ", ShapeText(x), " -> ", ShapeText(product.y())));
  c.Kernel("conv");
  const std::string shape = ShapeArray(c, product.geometry);
  const std::string taps = RowOfBytes(c, conv.taps(), "taps");
  const bool is_integer =
      x.is_coded() && x.encoding.is_affine() && w.is_integer() && DotIsExact(x.encoding, w, product.geometry.channels);
  if (is_integer) {
    const std::string weight = RowOfBytes(c, conv.weight(), "weight");
    std::vector<int32_t> codes;
    for (int64_t stored = 0; stored <= w.largest_stored(); ++stored)
      codes.push_back(static_cast<int32_t>(w.code(stored)));
    const std::string code_of =
        c.arrays().Add(c.layer() + "_code_of", c.layer() + ": the weights' codes", absl::MakeConstSpan(codes));
    const std::string from = c.Use(instruction.operands(0), Form::kCodes);
    const Sums sums = {c.Temporary("int32_t", "sums", product.geometry.filters), ""};
    EmitPixels(c, product, sums, [&] {
      c.Call("tap_sums",
             absl::StrCat("&", shape, ", ", x.encoding.least_code(), ", ", x.encoding.code_step(), ", ", code_of, ", ",
                          weight, ", ", taps, ", ", from, ", ", c.Pixel(), ", ", sums.array));
    });
    return absl::OkStatus();
  }
  std::string weight;
  if (w.is_integer()) {
    std::vector<float> values;
    for (const int64_t code : CodesOf(model, conv.weight())) values.push_back(static_cast<float>(code));
    weight = c.arrays().Add(c.layer() + "_weight", c.layer() + ": weight", absl::MakeConstSpan(values));
  } else {
    weight = c.Floats(conv.weight(), "weight");
  }
  const std::string from = c.Use(instruction.operands(0), Form::kTerms);
  const Sums sums = {c.Temporary("float", "sums", product.geometry.filters), "_floats"};
  EmitPixels(c, product, sums, [&] {
    c.Call("float_tap_sums",
           absl::StrCat("&", shape, ", ", weight, ", ", taps, ", ", from, ", ", c.Pixel(), ", ", sums.array));
  });
  return absl::OkStatus();
}

}  // namespace bitgrad
