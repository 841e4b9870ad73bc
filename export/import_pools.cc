// Pools, and what convolutions and pools say about their windows.

#include <utility>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/import_constants.h"
#include "bitgrad/export/import_ops.h"

namespace bitgrad {
namespace {

// The pads that auto_pad asks for, along one dimension: as much as makes ceil(extent / stride) windows.
std::pair<int64_t, int64_t> SamePads(int64_t extent, int64_t span, int64_t stride, bool upper) {
  const int64_t windows = (extent + stride - 1) / stride;
  const int64_t total = std::max<int64_t>(0, (windows - 1) * stride + span - extent);
  return upper ? std::pair(total / 2, total - total / 2) : std::pair(total - total / 2, total / 2);
}

absl::StatusOr<PoolGeometry> GeometryOf(const ImportCall& call, const ImportedWindow& window) {
  const ImportNode& node = call.node;
  const Imported& x = call.x();
  PoolGeometry geometry = {.batch = x.shape.dim(0),
                           .height = x.height(),
                           .width = x.width(),
                           .channels = x.channels(),
                           .kernel_height = window.kernel_height,
                           .kernel_width = window.kernel_width,
                           .stride_height = window.stride_height,
                           .stride_width = window.stride_width,
                           .pad_height = window.pad_height,
                           .pad_width = window.pad_width};
  if (window.dilation_height != 1 || window.dilation_width != 1) return node.Unsupported("its windows are dilated");
  if (window.pad_height >= window.kernel_height || window.pad_width >= window.kernel_width ||
      window.kernel_height > x.height() + 2 * window.pad_height ||
      window.kernel_width > x.width() + 2 * window.pad_width) {
    return node.Error("its window does not go with an image ", x.shape.ToString());
  }
  if (node.Int("ceil_mode", 0) != 0) {
    const PoolGeometry whole = geometry;
    geometry.partial = true;
    if (geometry.out_height() == whole.out_height() && geometry.out_width() == whole.out_width()) return whole;
    if (window.stride_height + window.pad_height > window.kernel_height ||
        window.stride_width + window.pad_width > window.kernel_width) {
      return node.Unsupported("with ceil_mode stride + pad must not exceed the window");
    }
  }
  return geometry;
}

absl::StatusOr<Imported> Pool(const ImportCall& call, const PoolGeometry& geometry, bool is_max) {
  const Imported& x = call.x();
  Imported y = {.shape = {x.shape.dim(0), x.channels(), geometry.out_height(), geometry.out_width()},
                .is_image = true,
                .nonnegative = x.nonnegative,
                .whole = is_max && x.whole};
  const Shape shape = {x.shape.dim(0), geometry.out_height(), geometry.out_width(), x.channels()};
  y.id = is_max ? call.graph.Add(program::MaxPool{.geometry = geometry, .flips = {}}, "max_pool", {x.id}, shape)
                : call.graph.Add(program::AveragePool{geometry}, "average_pool", {x.id}, shape);
  return y;
}

absl::Status CheckImage(const ImportCall& call) {
  if (call.x().is_image) return absl::OkStatus();
  return call.node.Unsupported("it takes an image [N, C, H, W], and its operand is ", call.x().shape.ToString());
}

}  // namespace

absl::StatusOr<ImportedWindow> WindowOf(const ImportCall& call, std::vector<int64_t> kernel) {
  const ImportNode& node = call.node;
  const Imported& x = call.x();
  if (node.has("kernel_shape")) kernel = node.Ints("kernel_shape");
  std::vector<int64_t> strides = node.Ints("strides"), dilations = node.Ints("dilations"), pads = node.Ints("pads");
  if (strides.empty()) strides = {1, 1};
  if (dilations.empty()) dilations = {1, 1};
  if (pads.empty()) pads = {0, 0, 0, 0};
  constexpr int64_t kMost = 1 << 19;
  const auto are_in = [](const std::vector<int64_t>& values, size_t count, int64_t least) {
    for (const int64_t v : values) {
      if (v < least || v > kMost) return false;
    }
    return values.size() == count;
  };
  if (!are_in(kernel, 2, 1) || !are_in(strides, 2, 1) || !are_in(dilations, 2, 1) || !are_in(pads, 4, 0)) {
    return node.Unsupported("its kernel_shape, strides, dilations or pads are not those of a window of an image");
  }
  const std::string auto_pad = node.String("auto_pad", "NOTSET");
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    const bool upper = auto_pad == "SAME_UPPER";
    const auto [top, bottom] = SamePads(x.height(), dilations[0] * (kernel[0] - 1) + 1, strides[0], upper);
    const auto [left, right] = SamePads(x.width(), dilations[1] * (kernel[1] - 1) + 1, strides[1], upper);
    pads = {top, left, bottom, right};
  } else if (auto_pad == "VALID") {
    pads = {0, 0, 0, 0};
  } else if (auto_pad != "NOTSET") {
    return node.Unsupported("auto_pad '", auto_pad, "' is not read");
  }
  if (pads[0] != pads[2] || pads[1] != pads[3]) {
    return node.Unsupported("its border is not the same on both sides; pad the image by as much on each side");
  }
  return ImportedWindow{.kernel_height = kernel[0],
                        .kernel_width = kernel[1],
                        .stride_height = strides[0],
                        .stride_width = strides[1],
                        .pad_height = pads[0],
                        .pad_width = pads[1],
                        .dilation_height = dilations[0],
                        .dilation_width = dilations[1]};
}

absl::StatusOr<Imported> ImportMaxPool(const ImportCall& call) {
  BITGRAD_RETURN_IF_ERROR(CheckImage(call));
  BITGRAD_ASSIGN_OR_RETURN(const ImportedWindow window, WindowOf(call, {}));
  BITGRAD_ASSIGN_OR_RETURN(const PoolGeometry geometry, GeometryOf(call, window));
  return Pool(call, geometry, /*is_max=*/true);
}

absl::StatusOr<Imported> ImportAveragePool(const ImportCall& call) {
  BITGRAD_RETURN_IF_ERROR(CheckImage(call));
  BITGRAD_ASSIGN_OR_RETURN(const ImportedWindow window, WindowOf(call, {}));
  BITGRAD_ASSIGN_OR_RETURN(const PoolGeometry geometry, GeometryOf(call, window));
  if (call.node.Int("count_include_pad", 0) != 0 && (window.pad_height > 0 || window.pad_width > 0)) {
    return call.node.Unsupported("it counts the border; use count_include_pad=False");
  }
  return Pool(call, geometry, /*is_max=*/false);
}

absl::StatusOr<Imported> ImportGlobalAveragePool(const ImportCall& call) {
  BITGRAD_RETURN_IF_ERROR(CheckImage(call));
  const Imported& x = call.x();
  return Pool(call,
              {.batch = x.shape.dim(0),
               .height = x.height(),
               .width = x.width(),
               .channels = x.channels(),
               .kernel_height = x.height(),
               .kernel_width = x.width()},
              /*is_max=*/false);
}

absl::StatusOr<Imported> ImportReduceMean(const ImportCall& call) {
  BITGRAD_RETURN_IF_ERROR(CheckImage(call));
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, AxesOf(call.node, call.constant(1), 4));
  if (axes != std::vector<int64_t>{2, 3}) return call.node.Unsupported("means over height and width are read");
  BITGRAD_ASSIGN_OR_RETURN(Imported y, ImportGlobalAveragePool(call));
  if (call.node.Int("keepdims", 1) != 0) return y;
  return ReshapeTo(call, y, {y.shape.dim(0), y.channels()});
}

}  // namespace bitgrad
