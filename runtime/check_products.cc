// The rules of products, pools and what these make of their sums.

#include <cmath>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/image_geometry.h"
#include "bitgrad/runtime/program_checker.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

using packed::Blob;

template <typename... Args>
absl::Status Error(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

}  // namespace

template <typename Product>
absl::StatusOr<Shape> ProgramChecker::CheckProduct(const std::string& kind, const Product& product) {
  // A shortcut is the second operand.
  if (!product.has_requantize() || operands_.size() != 2) BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  if (!product.version_1_input_quantizer().empty()) {
    return Error(kind, ".version_1_input_quantizer: products of format version 2 have no quantizer");
  }
  BITGRAD_ASSIGN_OR_RETURN(const Blob* weight, UseBlob((kind + ".weight").c_str(), product.weight()));
  const Shape shape = ShapeOf(*weight);
  if (shape.rank() != 2 || (!IsCodes(weight->kind()) && weight->kind() != Blob::FLOAT32)) {
    return Error(kind, ".weight: blob ", product.weight(), " (", weight->name(), ") is ",
                 Blob::Kind_Name(weight->kind()), " ", shape.ToString(), ", no matrix of weights");
  }
  return shape;
}

absl::Status ProgramChecker::CheckThreshold(const std::string& field, const packed::Threshold& threshold, int64_t out,
                                            PackedValue& value) {
  Blob codes;
  codes.set_kind(threshold.encoding());
  codes.set_bits(threshold.bits());
  if (!IsCodes(codes.kind())) {
    return Error(field, ".encoding: ", static_cast<int>(threshold.encoding()), " is no encoding of codes");
  }
  if (const absl::Status status = CheckBits(codes); !status.ok()) return Error(field, ": ", status.message());
  value.encoding = EncodingOf(codes);
  value.scale = threshold.scale();
  if (!(std::isfinite(value.scale) && value.scale >= 0)) return Error(field, ".scale is not finite and at least 0");
  BITGRAD_RETURN_IF_ERROR(UseBlob((field + ".thresholds").c_str(), threshold.thresholds(), Blob::INT32,
                                  {value.encoding.largest_stored(), out}));
  return UseBlob((field + ".flips").c_str(), threshold.flips(), Blob::FLAGS, {out});
}

template <typename Product>
absl::StatusOr<PackedValue> ProgramChecker::CheckOutput(const std::string& kind, const Product& product,
                                                        const Shape& y) {
  if (!std::isfinite(product.scale())) return Error(kind, ".scale is not finite");
  PackedValue value = {.example = y};
  const Blob& weight = header_.blobs(product.weight());
  const int64_t out = weight.shape(0);
  if (product.has_requantize()) {
    const packed::Requantize& requantize = product.requantize();
    const std::string field = kind + ".requantize";
    if (product.has_threshold() || product.has_scales() || product.scale() != 0) {
      return Error(field, ": there is a scale or a threshold, too");
    }
    if (requantize.has_bias()) {
      BITGRAD_RETURN_IF_ERROR(UseBlob((field + ".bias").c_str(), requantize.bias(), Blob::INT32, {1, out}));
    }
    if (requantize.has_flips()) {
      BITGRAD_RETURN_IF_ERROR(UseBlob((field + ".flips").c_str(), requantize.flips(), Blob::FLAGS, {out}));
    }
    return CheckRequantizedProduct(field, requantize, y, operand(0), EncodingOf(weight), weight.shape(1),
                                   operands_.size() == 2 ? &operand(1) : nullptr);
  }
  if (!product.has_threshold()) {
    if (product.has_scales()) {
      BITGRAD_RETURN_IF_ERROR(UseBlob((kind + ".scales").c_str(), product.scales(), Blob::FLOAT32, {out}));
    }
    return value;
  }
  if (!DotIsExact(operand(0).encoding, EncodingOf(weight), weight.shape(1))) {
    return Error(kind, ".threshold: the sums that it compares are no exact integers");
  }
  if (product.scale() != 0 || product.has_scales()) return Error(kind, ".scale: with a threshold there is none");
  BITGRAD_RETURN_IF_ERROR(CheckThreshold(kind + ".threshold", product.threshold(), out, value));
  return value;
}

absl::StatusOr<PackedValue> ProgramChecker::CheckLinear(const packed::Linear& linear) {
  BITGRAD_ASSIGN_OR_RETURN(const Shape weight, CheckProduct("linear", linear));
  const Shape& x = operand(0).example;
  if (x.cols() != weight.dim(1)) {
    return Error("linear.weight: its shape ", weight.ToString(), " does not go with examples of shape ", x.ToString());
  }
  std::vector<int64_t> dims(x.dims().begin(), x.dims().end());
  dims.back() = weight.dim(0);
  BITGRAD_ASSIGN_OR_RETURN(const Shape y, CheckExampleShape(dims));
  return CheckOutput("linear", linear, y);
}

absl::StatusOr<PackedValue> ProgramChecker::CheckConv2d(const packed::Conv2d& conv) {
  BITGRAD_ASSIGN_OR_RETURN(const Shape weight, CheckProduct("conv2d", conv));
  const PackedValue& x = operand(0);
  BITGRAD_ASSIGN_OR_RETURN(const ConvGeometry geometry, GeometryOf(conv, x.example, weight));
  if (conv.has_requantize() && geometry.padding != Padding::kZero) {
    return Error("conv2d.requantize: the border is ", packed::Conv2d::Padding_Name(conv.padding()), ", not ZERO");
  }
  int32_t code;
  if (x.is_coded() && geometry.has_border() && !BorderCode(x.encoding, x.scale, geometry.padding, &code)) {
    return Error("conv2d.padding: ", packed::Conv2d::Padding_Name(conv.padding()), " is no value of ",
                 Name(x.encoding.kind), " codes of scale ", x.scale);
  }
  BITGRAD_ASSIGN_OR_RETURN(const Shape y,
                           CheckExampleShape({geometry.out_height(), geometry.out_width(), geometry.filters}));
  return CheckOutput("conv2d", conv, y);
}

absl::StatusOr<PackedValue> ProgramChecker::CheckTapConv2d(const packed::TapConv2d& conv) {
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  const PackedValue& x = operand(0);
  BITGRAD_ASSIGN_OR_RETURN(const ConvGeometry geometry, GeometryOf(conv, x.example));
  if (geometry.channels > kMaxFeatures / geometry.filters) {
    return Error("tap_conv2d.filters: ", conv.filters(), " of ", geometry.channels, " channels are too many");
  }
  const Shape row({1, geometry.filters * geometry.channels});
  BITGRAD_ASSIGN_OR_RETURN(const Blob* weight, UseBlob("tap_conv2d.weight", conv.weight()));
  if ((!IsCodes(weight->kind()) && weight->kind() != Blob::FLOAT32) || ShapeOf(*weight) != row) {
    return Error("tap_conv2d.weight: blob ", conv.weight(), " (", weight->name(), ") is ",
                 Blob::Kind_Name(weight->kind()), " ", ShapeOf(*weight).ToString(), ", no weights ", row.ToString());
  }
  BITGRAD_RETURN_IF_ERROR(UseBlob("tap_conv2d.taps", conv.taps(), Blob::UNSIGNED, row));
  if (header_.blobs(conv.taps()).bits() != 4) return Error("tap_conv2d.taps: they have not 4 bits");
  if (!std::isfinite(conv.scale())) return Error("tap_conv2d.scale is not finite");
  if (conv.has_scales()) {
    BITGRAD_RETURN_IF_ERROR(UseBlob("tap_conv2d.scales", conv.scales(), Blob::FLOAT32, Shape({geometry.filters})));
  }
  BITGRAD_ASSIGN_OR_RETURN(const Shape y,
                           CheckExampleShape({geometry.out_height(), geometry.out_width(), geometry.filters}));
  return PackedValue{.example = y};
}

absl::StatusOr<PackedValue> ProgramChecker::CheckPool(bool is_max, const packed::Pool& pool) {
  const char* kind = is_max ? "max_pool" : "average_pool";
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  const PackedValue& x = operand(0);
  absl::StatusOr<PoolGeometry> geometry = GeometryOf(pool, x.example);
  if (!geometry.ok()) return Error(kind, ": ", geometry.status().message());
  BITGRAD_ASSIGN_OR_RETURN(const Shape y,
                           CheckExampleShape({geometry->out_height(), geometry->out_width(), geometry->channels}));
  if (pool.has_flips()) {
    if (!is_max) return Error(kind, ".flips: only max_pool has them");
    if (!x.is_coded()) return Error(kind, ".flips: the operand is no codes");
    BITGRAD_RETURN_IF_ERROR(UseBlob("max_pool.flips", pool.flips(), Blob::FLAGS, {geometry->channels}));
  }
  if (is_max && pool.has_threshold()) return Error("max_pool.threshold: only average_pool has one");
  if (is_max && pool.has_requantize()) return Error("max_pool.requantize: only average_pool has one");
  if (is_max) return PackedValue{.example = y, .encoding = x.encoding, .scale = x.scale};
  if (pool.has_requantize()) {
    if (pool.has_threshold()) return Error("average_pool.requantize: there is a threshold, too");
    return CheckRequantizedAverage(pool.requantize(), y, x, geometry->kernel_height * geometry->kernel_width,
                                   geometry->pad_height == 0 && geometry->pad_width == 0 && !geometry->partial);
  }
  PackedValue value = {.example = y};
  if (pool.has_threshold()) {
    if (!SumIsExact(x.encoding, *geometry)) {
      return Error("average_pool.threshold: the sums that it compares are no exact integers");
    }
    BITGRAD_RETURN_IF_ERROR(CheckThreshold("average_pool.threshold", pool.threshold(), geometry->channels, value));
  }
  return value;
}

}  // namespace bitgrad
