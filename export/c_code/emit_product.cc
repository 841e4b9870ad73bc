// linear and conv2d.

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/export/c_code/c_emitter.h"
#include "bitgrad/export/c_code/product.h"
#include "bitgrad/export/c_code/product_arrays.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/runtime/image_geometry.h"

namespace bitgrad {
namespace {

using packed::Instruction;

// Beyond as many pairs of planes, multiplying bytes takes fewer instructions than counting bits.
constexpr int kMostPlanePairs = 8;

int64_t Words(int64_t bits) { return (bits + 31) / 32; }

template <typename Message>
void SetOutput(const Message& message, Product& product) {
  product.weight = message.weight();
  product.scale = message.scale();
  if (message.has_scales()) product.scales = message.scales();
  if (message.has_threshold()) product.threshold = &message.threshold();
  if (message.has_requantize()) product.requantize = &message.requantize();
}

Product ProductOf(const PackedModel& model, int i) {
  const Instruction& instruction = model.header().instructions(i);
  Product product{.model = model, .i = i};
  const PackedValue& x = product.x();
  if (instruction.has_conv2d()) {
    SetOutput(instruction.conv2d(), product);
    // The program has been checked, so its geometry is valid.
    product.geometry = *GeometryOf(instruction.conv2d(), x.example, ShapeOf(model.blob(product.weight)));
    return product;
  }
  SetOutput(instruction.linear(), product);
  product.geometry = {.batch = 1,
                      .height = 1,
                      .width = x.example.rows(),
                      .channels = x.example.cols(),
                      .filters = ShapeOf(model.blob(product.weight)).rows(),
                      .kernel_height = 1,
                      .kernel_width = 1};
  return product;
}

// Whether the sums are integers in the runtime, too (ops/dot_kernel.h, ops/conv_kernel.h).
bool IsInteger(const Product& product) {
  const Encoding &x = product.x().encoding, w = product.w();
  const int64_t k = product.geometry.patch_size();
  if (product.requantize != nullptr) return true;
  if (!x.is_integer() || !w.is_integer()) return false;
  if (!x.is_log() && !w.is_log()) return DotIsExact(x, w, k);
  const LogSums sums = LogSumsOf(x, w, k);
  if (product.model.header().instructions(product.i).has_linear()) return sums != LogSums::kTooLarge;
  return sums == LogSums::kInt32;
}

std::string Border(const Product& product, int32_t* code) {
  BorderCode(product.x().encoding, product.x().scale, product.geometry.padding, code);
  return absl::StrCat(*code);
}

void EmitXnor(CEmitter& c, const Product& product, const std::string& shape, int operand) {
  int32_t border;
  Border(product, &border);
  const std::string weight = PlaneArray(c, product.weight);
  const std::string x = c.Use(operand, Form::kBits);
  const int64_t words = Words(product.geometry.patch_size());
  const std::string patch = c.Temporary("uint32_t", "patch", words),
                    outside = c.Temporary("uint32_t", "outside", words);
  const Sums sums = {c.Temporary("int32_t", "sums", product.geometry.filters), ""};
  EmitPixels(c, product, sums, [&] {
    c.Call("xnor_sums", absl::StrCat("&", shape, ", ", weight, ", ", border, ", ", x, ", ", c.Pixel(), ", ", patch,
                                     ", ", outside, ", ", sums.array));
  });
}

void EmitPlanes(CEmitter& c, const Product& product, const std::string& shape, int operand) {
  const Encoding &x = product.x().encoding, w = product.w();
  int32_t border;
  Border(product, &border);
  const std::string weight = PlaneArray(c, product.weight);
  c.Kernel("plane_shape");
  const std::string planes = c.arrays().AddStruct(
      "net_planes", c.layer() + "_planes", c.layer() + ": x_bits, x_least, x_step, w_bits, w_least, w_step, border",
      {x.bits, x.least_code(), x.code_step(), w.bits, w.least_code(), w.code_step(), border});
  const std::string totals = x.least_code() == 0 ? "0" : WeightTotals(c, product.weight, x.least_code());
  const bool is_bits = product.x().is_bits();
  const std::string from = c.Use(operand, is_bits ? Form::kBits : Form::kCodes);
  const int64_t words = Words(product.geometry.patch_size());
  const std::string patch = c.Temporary("uint32_t", "patch", x.bits * words);
  const std::string outside = c.Temporary("uint32_t", "outside", words);
  const Sums sums = {c.Temporary("int32_t", "sums", product.geometry.filters), ""};
  EmitPixels(c, product, sums, [&] {
    c.Call(is_bits ? "plane_sums_of_bits" : "plane_sums",
           absl::StrCat("&", shape, ", &", planes, ", ", weight, ", ", totals, ", ", from, ", ", c.Pixel(), ", ", patch,
                        ", ", outside, ", ", sums.array));
  });
}

void EmitBytes(CEmitter& c, const Product& product, const std::string& shape, int operand) {
  const Encoding &x = product.x().encoding, w = product.w();
  int32_t border = 0;
  if (product.requantize == nullptr) Border(product, &border);
  const std::string weight = ByteArray(c, product.weight);
  c.Kernel("code_shape");
  const std::string codes =
      c.arrays().AddStruct("net_codes", c.layer() + "_codes", c.layer() + ": x_least, x_step, w_least, w_step, border",
                           {x.least_code(), x.code_step(), w.least_code(), w.code_step(), border});
  const std::string from = c.Use(operand, Form::kCodes);
  const std::string patch = c.Temporary("int16_t", "patch", product.geometry.patch_size() + 1);
  const Sums sums = {c.Temporary("int32_t", "sums", product.geometry.filters), ""};
  EmitPixels(c, product, sums, [&] {
    c.Call(w.bits <= 4 ? "nibble_sums" : "byte_sums", absl::StrCat("&", shape, ", &", codes, ", ", weight, ", ", from,
                                                                   ", ", c.Pixel(), ", ", patch, ", ", sums.array));
  });
}

void EmitLog(CEmitter& c, const Product& product, const std::string& shape, int operand) {
  const Encoding &x = product.x().encoding, w = product.w();
  int32_t border;
  Border(product, &border);
  const std::string weight = ByteArray(c, product.weight);
  c.Kernel("log_shape");
  const bool has_zero = w.kind == EncodingKind::kLog;
  const int64_t middle = !w.is_log() ? 0 : has_zero ? (1 << (w.bits - 1)) - 1 : 1 << (w.bits - 1);
  const std::string log = c.arrays().AddStruct(
      "net_log", c.layer() + "_log", c.layer() + ": w_nibbles, w_least, w_step, w_middle, w_has_zero, border",
      {w.bits <= 4, w.is_log() ? 0 : w.least_code(), w.is_log() ? 0 : w.code_step(), middle, has_zero, border});
  std::vector<int32_t> codes;
  for (int64_t stored = 0; stored <= x.largest_stored(); ++stored)
    codes.push_back(static_cast<int32_t>(x.code(stored)));
  const std::string code_of =
      c.arrays().Add(c.layer() + "_code_of", c.layer() + ": the operand's codes", absl::MakeConstSpan(codes));
  const std::string from = c.Use(operand, Form::kCodes);
  const std::string patch = c.Temporary("int32_t", "patch", product.geometry.patch_size());
  const Sums sums = {c.Temporary("int64_t", "sums", product.geometry.filters), "_64"};
  EmitPixels(c, product, sums, [&] {
    c.Call(w.is_log() ? "log_sums" : "log_operand_sums",
           absl::StrCat("&", shape, ", &", log, ", ", code_of, ", ", weight, ", ", from, ", ", c.Pixel(), ", ", patch,
                        ", ", sums.array));
  });
}

void EmitFloats(CEmitter& c, const Product& product, const std::string& shape, int operand) {
  const PackedValue& x = product.x();
  const Encoding w = product.w();
  float border = product.geometry.padding == Padding::kPlusOne    ? 1.0f
                 : product.geometry.padding == Padding::kMinusOne ? -1.0f
                                                                  : 0.0f;
  if (x.is_coded()) {
    int32_t code;
    Border(product, &code);
    border = static_cast<float>(code);
  }
  std::string kernel = "float_sums", weights;
  if (!w.is_integer()) {
    weights = c.Floats(product.weight, "weight");
  } else if (w.kind == EncodingKind::kBinary) {
    kernel = "float_sign_sums";
    weights = PlaneArray(c, product.weight);
  } else {
    kernel = "float_code_sums";
    std::vector<float> codes;
    for (int64_t stored = 0; stored <= w.largest_stored(); ++stored) {
      codes.push_back(static_cast<float>(w.code(stored)));
    }
    const std::string bytes = ByteArray(c, product.weight);
    weights = absl::StrCat(
        w.bits <= 4 ? 1 : 0, ", ",
        c.arrays().Add(c.layer() + "_code_of", c.layer() + ": the weights' codes", absl::MakeConstSpan(codes)), ", ",
        bytes);
  }
  const std::string from = c.Use(operand, Form::kTerms);
  const std::string patch = c.Temporary("float", "patch", product.geometry.patch_size());
  const Sums sums = {c.Temporary("float", "sums", product.geometry.filters), "_floats"};
  EmitPixels(c, product, sums, [&] {
    c.Call(kernel, absl::StrCat("&", shape, ", ", weights, ", ", FloatLiteral(border), ", ", from, ", ", c.Pixel(),
                                ", ", patch, ", ", sums.array));
  });
}

std::string ProductText(const Product& product) {
  const ConvGeometry& g = product.geometry;
  const bool is_linear = product.model.header().instructions(product.i).has_linear();
  std::string text = is_linear ? "linear"
                               : absl::StrCat("convolution ", g.kernel_height, "x", g.kernel_width, " stride ",
                                              g.stride_height, "x", g.stride_width, " border ", g.pad_height, "x",
                                              g.pad_width, g.groups > 1 ? absl::StrCat(", ", g.groups, " groups") : "");
  absl::StrAppend(&text, ", ", ShapeText(product.x()), " ", EncodingText(product.x().encoding), " x ",
                  EncodingText(product.w()), " of weights -> ", ShapeText(product.y()), " ",
                  EncodingText(product.y().encoding));
  if (product.threshold != nullptr) absl::StrAppend(&text, " by thresholds");
  if (product.requantize != nullptr) absl::StrAppend(&text, " by shifts");
  return text;
}

}  // namespace

absl::Status EmitProduct(CEmitter& c, int i) {
  const Product product = ProductOf(c.model(), i);
  const Encoding &x = product.x().encoding, w = product.w();
  const int64_t k = product.geometry.patch_size();
  const int operand = c.model().header().instructions(i).operands(0);
  c.Begin(i, ProductText(product));
  c.Kernel("conv");
  const std::string shape = ShapeArray(c, product.geometry);
  if (!IsInteger(product)) {
    EmitFloats(c, product, shape, operand);
    return absl::OkStatus();
  }
  if (x.is_log() || w.is_log()) {
    EmitLog(c, product, shape, operand);
    return absl::OkStatus();
  }
  // Sums of stored codes, before the part of the least code is added, have to fit into 32 bits as well.
  const int64_t most_x = std::max(x.max_code(), x.largest_stored() * x.code_step());
  if (k > INT32_MAX / (most_x * w.largest_stored() * w.code_step())) {
    return absl::UnimplementedError(absl::StrCat(InstructionText(c.model(), i), ": sums of ", k, " products of ",
                                                 EncodingText(x), " and ", EncodingText(w),
                                                 " may exceed 32 bits; use fewer bits or a narrower layer"));
  }
  if (product.requantize == nullptr && product.x().is_bits() && w.kind == EncodingKind::kBinary) {
    EmitXnor(c, product, shape, operand);
  } else if (product.requantize == nullptr && x.bits * w.bits <= kMostPlanePairs) {
    EmitPlanes(c, product, shape, operand);
  } else {
    EmitBytes(c, product, shape, operand);
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
