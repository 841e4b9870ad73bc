// max_pool and average_pool.

#include <algorithm>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/onnx_codes.h"
#include "bitgrad/export/onnx_steps.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/runtime/image_geometry.h"

namespace bitgrad {
namespace {

constexpr ImageLayout kFirst = ImageLayout::kChannelsFirst;

std::vector<onnx::AttributeProto> WindowAttributes(const PoolGeometry& g) {
  return {IntsAttribute("kernel_shape", {g.kernel_height, g.kernel_width}),
          IntsAttribute("strides", {g.stride_height, g.stride_width}),
          IntsAttribute("pads", {g.pad_height, g.pad_width, g.pad_height, g.pad_width}),
          IntAttribute("ceil_mode", g.partial)};
}

absl::Status AddMaxPool(OnnxValues& values, int i, const PoolGeometry& geometry, const packed::Pool& pool) {
  const int operand = values.instruction(i).operands(0);
  const std::string x = values.Terms(operand, kFirst);
  std::string y = values.graph().Node("MaxPool", {x}, values.Hint(i, "max"), WindowAttributes(geometry));
  const PackedValue& value = values.model().value(operand);
  if (!value.is_coded()) {
    values.SetFloats(i + 1, kFirst, y);
    return absl::OkStatus();
  }
  if (pool.has_flips()) {
    const int64_t most = value.encoding.code(value.encoding.largest_stored());
    y = Flipped(values, i, y, pool.flips(), value.encoding.code(0), most, kFirst);
  }
  values.SetCodes(i + 1, kFirst, y);
  return absl::OkStatus();
}

// How far windows reach over the image's lower end, beyond its border: partial windows do.
int64_t Beyond(int64_t extent, int64_t pad, int64_t kernel, int64_t stride, int64_t out) {
  return std::max<int64_t>(0, (out - 1) * stride + kernel - (extent + 2 * pad));
}

// How many of the places begin .. begin + kernel - 1 are in 0 .. extent - 1.
int64_t Inside(int64_t begin, int64_t kernel, int64_t extent) {
  return std::min(begin + kernel, extent) - std::max<int64_t>(begin, 0);
}

// The exact sums of codes of each window: a convolution by ones of each channel for itself or, of the whole image, a
// sum.
std::string WindowSums(OnnxValues& values, int i, const PoolGeometry& g, const std::string& x) {
  OnnxGraph& graph = values.graph();
  const std::string hint = values.Hint(i, "sum");
  if (g.kernel_height == g.height && g.kernel_width == g.width && g.pad_height == 0 && g.pad_width == 0) {
    return graph.Node("ReduceSum", {x, graph.Index({2, 3})}, hint, {IntAttribute("keepdims", 1)});
  }
  const std::vector<float> ones(g.channels * g.kernel_height * g.kernel_width, 1.0f);
  const std::string w = graph.Floats(values.Hint(i, "ones"), {g.channels, 1, g.kernel_height, g.kernel_width}, ones);
  const int64_t below = Beyond(g.height, g.pad_height, g.kernel_height, g.stride_height, g.out_height());
  const int64_t right = Beyond(g.width, g.pad_width, g.kernel_width, g.stride_width, g.out_width());
  return graph.Node("Conv", {x, w}, hint,
                    {IntsAttribute("kernel_shape", {g.kernel_height, g.kernel_width}),
                     IntsAttribute("strides", {g.stride_height, g.stride_width}),
                     IntsAttribute("pads", {g.pad_height, g.pad_width, g.pad_height + below, g.pad_width + right}),
                     IntAttribute("group", g.channels)});
}

// scale / (number of the window's elements), of each window, or one number where all windows are alike.
std::string Quotients(OnnxValues& values, int i, const PoolGeometry& g, float scale) {
  std::vector<float> quotients;
  for (int64_t p = 0; p < g.out_height(); ++p) {
    for (int64_t q = 0; q < g.out_width(); ++q) {
      const int64_t count = Inside(p * g.stride_height - g.pad_height, g.kernel_height, g.height) *
                            Inside(q * g.stride_width - g.pad_width, g.kernel_width, g.width);
      quotients.push_back(scale / static_cast<float>(count));
    }
  }
  const bool alike = std::all_of(quotients.begin(), quotients.end(), [&](float q) { return q == quotients[0]; });
  if (alike) return values.graph().Scalar(quotients[0]);
  return values.graph().Floats(values.Hint(i, "quotients"), {g.out_height(), g.out_width()}, quotients);
}

absl::Status AddAveragePool(OnnxValues& values, int i, const PoolGeometry& geometry, const packed::Pool& pool) {
  OnnxGraph& graph = values.graph();
  const int operand = values.instruction(i).operands(0);
  const PackedValue& value = values.model().value(operand);
  if (pool.has_requantize() && !SumIsExact(value.encoding, geometry)) {
    return values.Refuse(i, "sums of so large windows exceed 2^24", "no dialect can: their sums are of floats");
  }
  if (SumIsExact(value.encoding, geometry)) {
    const std::string sums = WindowSums(values, i, geometry, values.Terms(operand, kFirst));
    if (pool.has_requantize()) {
      return AddOnnxRequantize(values, i, pool.requantize(), {sums}, /*shortcut=*/-1, kFirst);
    }
    if (pool.has_threshold()) return AddOnnxThreshold(values, i, pool.threshold(), sums, kFirst);
    // As behind a product: no optimizer may multiply the ones by the scale.
    const std::string whole =
        values.dialect() == OnnxDialect::kQonnx ? sums : graph.Node("Round", {sums}, values.Hint(i, "whole_sum"));
    const std::string quotients = Quotients(values, i, geometry, value.scale);
    values.SetFloats(i + 1, kFirst, graph.Node("Mul", {whole, quotients}, values.Hint(i, "mean")));
    return absl::OkStatus();
  }
  const std::string x = values.Floats(operand, kFirst);
  values.SetFloats(i + 1, kFirst, graph.Node("AveragePool", {x}, values.Hint(i, "mean"), WindowAttributes(geometry)));
  return absl::OkStatus();
}

}  // namespace

absl::Status AddOnnxPool(OnnxValues& values, int i) {
  const packed::Instruction& instruction = values.instruction(i);
  const bool is_max = instruction.has_max_pool();
  const packed::Pool& pool = is_max ? instruction.max_pool() : instruction.average_pool();
  BITGRAD_ASSIGN_OR_RETURN(const PoolGeometry geometry,
                           GeometryOf(pool, values.model().value(instruction.operands(0)).example));
  return is_max ? AddMaxPool(values, i, geometry, pool) : AddAveragePool(values, i, geometry, pool);
}

}  // namespace bitgrad
