// Conv, Gemm and MatMul.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/import_ops.h"
#include "bitgrad/export/import_quantizers.h"

namespace bitgrad {
namespace {

absl::StatusOr<const ImportTensor*> ConstantWeight(const ImportCall& call, int rank) {
  const ImportTensor* const w = call.constant(1);
  if (w == nullptr) {
    return call.node.Unsupported("its weight is computed from the input; only products with constants are read");
  }
  if (w->shape.rank() != rank) {
    return call.node.Unsupported("its weight has the shape ", w->shape.ToString(), "; ", rank,
                                 " dimensions are read: convolutions are of two dimensions");
  }
  return w;
}

absl::Status AddBias(const ImportCall& call, const ImportTensor* bias, int64_t outputs, float factor, Imported& y) {
  if (bias == nullptr) return absl::OkStatus();
  const Shape& shape = bias->shape;
  if (bias->size() != 1 && (bias->size() != outputs || shape.dim(shape.rank() - 1) != outputs)) {
    return call.node.Unsupported("its bias has the shape ", shape.ToString(), ", and there are ", outputs, " outputs");
  }
  std::vector<float> values;
  for (int64_t o = 0; o < outputs; ++o) {
    values.push_back(factor * static_cast<float>(bias->at(bias->size() == 1 ? 0 : o)));
    y.whole &= values.back() == std::floor(values.back());
  }
  y.id = call.graph.AddBinary(y.id, Binary::kAdd, {outputs}, std::move(values));
  return absl::OkStatus();
}

// Makes a product known to the report.
void Remember(const ImportCall& call, int id, std::string why_float) {
  call.graph.products().push_back({.layer = call.node.name(), .id = id, .float_weight = std::move(why_float)});
}

// Whether all products of codes with codes are whole numbers.
bool IsWhole(const ImportGraph& graph, int x, int weight) {
  const auto is_whole = [](float scale) { return scale == std::floor(scale); };
  const program::Value &value = graph.value(x), &w = graph.value(weight);
  if (!value.is_coded() || !is_whole(value.scale) || w.coded == nullptr) return false;
  const ScaleView scales = w.coded->scale_view();
  for (int64_t o = 0; o < w.coded->matrix.rows(); ++o) {
    if (!is_whole(scales.at(o))) return false;
  }
  return true;
}

// x w^T, of the last dimension. The weight is [in, out] or, where `outputs_first`, [out, in].
absl::StatusOr<Imported> ImportLinear(const ImportCall& call, const ImportTensor& w, bool outputs_first) {
  const Imported& x = call.x();
  const int64_t in = w.shape.dim(outputs_first ? 1 : 0), out = w.shape.dim(outputs_first ? 0 : 1);
  if (x.is_image || x.shape.rank() < 2 || x.shape.cols() != in) {
    return call.node.Error("its weight ", w.shape.ToString(), " does not go with a value of shape ",
                           x.shape.ToString());
  }
  WeightOrder order = {.rows = out, .cols = in, .index = {}};
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t j = 0; j < in; ++j) {
      const int64_t column = x.columns.empty() ? j : x.columns[j];
      order.index.push_back(outputs_first ? o * in + column : column * out + o);
    }
  }
  std::string why_float;
  const int weight = AddWeight(call.graph, absl::StrCat(call.node.name(), "/weight"), w, {out, in}, order, &why_float);
  std::vector<int64_t> dims(x.shape.dims().begin(), x.shape.dims().end());
  dims.back() = out;
  Imported y = {.id = call.graph.Add(program::Linear(), "linear", {x.id, weight}, Shape(dims)), .shape = Shape(dims)};
  y.whole = IsWhole(call.graph, x.id, weight);
  Remember(call, y.id, std::move(why_float));
  return y;
}

}  // namespace

absl::StatusOr<Imported> ImportMatMul(const ImportCall& call) {
  BITGRAD_ASSIGN_OR_RETURN(const ImportTensor* w, ConstantWeight(call, 2));
  return ImportLinear(call, *w, /*outputs_first=*/false);
}

absl::StatusOr<Imported> ImportGemm(const ImportCall& call) {
  const ImportNode& node = call.node;
  BITGRAD_ASSIGN_OR_RETURN(const ImportTensor* w, ConstantWeight(call, 2));
  if (node.Int("transA", 0) != 0) return node.Unsupported("it transposes its first operand, the value");
  const float alpha = node.Float("alpha", 1);
  if (!(alpha > 0)) return node.Unsupported("its alpha is ", alpha, "; positive ones are read");
  ImportTensor scaled;
  if (alpha != 1) {
    scaled = *w;
    for (float& x : scaled.floats) x *= alpha;
    if (scaled.codes.has_value()) {
      for (float& scale : scaled.codes->scales) scale *= alpha;
    }
    w = &scaled;
  }
  const ImportTensor* const bias = call.constant(2);
  if (node.has_input(2) && bias == nullptr) return node.Unsupported("its bias is computed from the input");
  BITGRAD_ASSIGN_OR_RETURN(Imported y, ImportLinear(call, *w, node.Int("transB", 0) != 0));
  BITGRAD_RETURN_IF_ERROR(AddBias(call, bias, y.shape.cols(), node.Float("beta", 1), y));
  return y;
}

absl::StatusOr<Imported> ImportConv(const ImportCall& call) {
  const ImportNode& node = call.node;
  const Imported& x = call.x();
  BITGRAD_ASSIGN_OR_RETURN(const ImportTensor* w, ConstantWeight(call, 4));
  if (!x.is_image) {
    return node.Error("it takes an image [N, C, H, W], and its operand is ", x.shape.ToString(),
                      x.shape.rank() == 4 ? " in another order of dimensions" : "");
  }
  const int64_t filters = w->shape.dim(0), depth = w->shape.dim(1), rows = w->shape.dim(2), cols = w->shape.dim(3);
  const int64_t groups = node.Int("group", 1);
  if (groups < 1 || filters % groups != 0 || x.channels() % groups != 0 || x.channels() / groups != depth) {
    return node.Error("its weight ", w->shape.ToString(), " and ", groups, " groups do not go with a value of shape ",
                      x.shape.ToString());
  }
  BITGRAD_ASSIGN_OR_RETURN(const ImportedWindow window, WindowOf(call, {rows, cols}));
  const ConvGeometry geometry = {.batch = x.shape.dim(0),
                                 .height = x.height(),
                                 .width = x.width(),
                                 .channels = x.channels(),
                                 .filters = filters,
                                 .kernel_height = rows,
                                 .kernel_width = cols,
                                 .stride_height = window.stride_height,
                                 .stride_width = window.stride_width,
                                 .pad_height = window.pad_height,
                                 .pad_width = window.pad_width,
                                 .dilation_height = window.dilation_height,
                                 .dilation_width = window.dilation_width,
                                 .groups = groups};
  if (window.kernel_height != rows || window.kernel_width != cols) {
    return node.Error("its kernel_shape is not that of its weight ", w->shape.ToString());
  }
  if (window.dilation_height * (rows - 1) + 1 > x.height() + 2 * window.pad_height ||
      window.dilation_width * (cols - 1) + 1 > x.width() + 2 * window.pad_width) {
    return node.Error("its kernel is larger than the image ", x.shape.ToString());
  }
  const ImportTensor* const bias = call.constant(2);
  if (node.has_input(2) && bias == nullptr) return node.Unsupported("its bias is computed from the input");
  // Filters are [O, C, R, S] in ONNX, [O, R, S, C] here.
  WeightOrder order = {.rows = filters, .cols = rows * cols * depth, .index = {}};
  for (int64_t o = 0; o < filters; ++o) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t s = 0; s < cols; ++s) {
        for (int64_t c = 0; c < depth; ++c) order.index.push_back(((o * depth + c) * rows + r) * cols + s);
      }
    }
  }
  std::string why_float;
  const int weight =
      AddWeight(call.graph, absl::StrCat(node.name(), "/weight"), *w, {filters, rows, cols, depth}, order, &why_float);
  Imported y = {.shape = {x.shape.dim(0), filters, geometry.out_height(), geometry.out_width()}, .is_image = true};
  y.id = call.graph.Add(program::Conv2d{geometry}, "conv2d", {x.id, weight},
                        {x.shape.dim(0), geometry.out_height(), geometry.out_width(), filters});
  y.whole = IsWhole(call.graph, x.id, weight);
  Remember(call, y.id, std::move(why_float));
  BITGRAD_RETURN_IF_ERROR(AddBias(call, bias, filters, 1, y));
  return y;
}

}  // namespace bitgrad
