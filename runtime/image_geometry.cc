#include "bitgrad/runtime/image_geometry.h"

#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/conv_kernel.h"

namespace bitgrad {
namespace {

template <typename... Args>
absl::Status Error(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

absl::Status CheckExtents(std::initializer_list<std::pair<const char*, int32_t>> extents, int32_t least) {
  for (const auto& [name, extent] : extents) {
    if (extent < least || extent > kMaxWindowExtent) {
      return Error(name, ": ", extent, " is not in [", least, ", ", kMaxWindowExtent, "]");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckImage(const Shape& example) {
  if (example.rank() == 3) return absl::OkStatus();
  return Error("operands: shape ", example.ToString(), " is no image [height, width, channels]");
}

}  // namespace

absl::StatusOr<ConvGeometry> GeometryOf(const packed::Conv2d& conv, const Shape& example, const Shape& weight) {
  BITGRAD_RETURN_IF_ERROR(CheckImage(example));
  if (!packed::Conv2d::Padding_IsValid(conv.padding())) {
    return Error("conv2d.padding: ", static_cast<int>(conv.padding()), " is unknown");
  }
  const ConvGeometry geometry = {.batch = 1,
                                 .height = example.dim(0),
                                 .width = example.dim(1),
                                 .channels = example.dim(2),
                                 .filters = weight.rows(),
                                 .kernel_height = conv.kernel_height(),
                                 .kernel_width = conv.kernel_width(),
                                 .stride_height = conv.stride_height(),
                                 .stride_width = conv.stride_width(),
                                 .pad_height = conv.pad_height(),
                                 .pad_width = conv.pad_width(),
                                 .dilation_height = conv.dilation_height(),
                                 .dilation_width = conv.dilation_width(),
                                 .groups = conv.groups(),
                                 .padding = static_cast<Padding>(conv.padding())};
  const absl::Status status = CheckConvGeometry(geometry);
  if (!status.ok()) return Error("conv2d: ", status.message());
  if (weight.rank() != 2 || weight.cols() != geometry.patch_size()) {
    return Error("conv2d.weight: its shape ", weight.ToString(), " does not go with images of shape ",
                 example.ToString(), ", a kernel of [", conv.kernel_height(), ", ", conv.kernel_width(), "] and ",
                 conv.groups(), " groups");
  }
  return geometry;
}

absl::StatusOr<ConvGeometry> GeometryOf(const packed::TapConv2d& conv, const Shape& example) {
  BITGRAD_RETURN_IF_ERROR(CheckImage(example));
  const ConvGeometry geometry = {.batch = 1,
                                 .height = example.dim(0),
                                 .width = example.dim(1),
                                 .channels = example.dim(2),
                                 .filters = conv.filters(),
                                 .kernel_height = conv.kernel_height(),
                                 .kernel_width = conv.kernel_width(),
                                 .stride_height = conv.stride_height(),
                                 .stride_width = conv.stride_width(),
                                 .pad_height = conv.pad_height(),
                                 .pad_width = conv.pad_width()};
  const absl::Status status = CheckConvGeometry(geometry);
  if (!status.ok()) return Error("tap_conv2d: ", status.message());
  if (geometry.kernel_height * geometry.kernel_width > 15) {
    return Error("tap_conv2d.kernel: [", conv.kernel_height(), ", ", conv.kernel_width(), "] has more than 15 taps");
  }
  return geometry;
}

absl::StatusOr<PoolGeometry> GeometryOf(const packed::Pool& pool, const Shape& example) {
  BITGRAD_RETURN_IF_ERROR(CheckImage(example));
  BITGRAD_RETURN_IF_ERROR(CheckExtents({{"kernel_height", pool.kernel_height()},
                                        {"kernel_width", pool.kernel_width()},
                                        {"stride_height", pool.stride_height()},
                                        {"stride_width", pool.stride_width()}},
                                       1));
  BITGRAD_RETURN_IF_ERROR(CheckExtents({{"pad_height", pool.pad_height()}, {"pad_width", pool.pad_width()}}, 0));
  if (pool.pad_height() >= pool.kernel_height() || pool.pad_width() >= pool.kernel_width()) {
    return Error("pad [", pool.pad_height(), ", ", pool.pad_width(), "] is not smaller than the kernel [",
                 pool.kernel_height(), ", ", pool.kernel_width(), "]");
  }
  if (pool.partial() && (pool.stride_height() + pool.pad_height() > pool.kernel_height() ||
                         pool.stride_width() + pool.pad_width() > pool.kernel_width())) {
    return Error("partial windows: stride [", pool.stride_height(), ", ", pool.stride_width(), "] and pad [",
                 pool.pad_height(), ", ", pool.pad_width(), "] are together larger than the kernel [",
                 pool.kernel_height(), ", ", pool.kernel_width(), "]");
  }
  const PoolGeometry geometry = {.batch = 1,
                                 .height = example.dim(0),
                                 .width = example.dim(1),
                                 .channels = example.dim(2),
                                 .kernel_height = pool.kernel_height(),
                                 .kernel_width = pool.kernel_width(),
                                 .stride_height = pool.stride_height(),
                                 .stride_width = pool.stride_width(),
                                 .pad_height = pool.pad_height(),
                                 .pad_width = pool.pad_width(),
                                 .partial = pool.partial()};
  const int64_t padded_height = geometry.height + 2 * geometry.pad_height;
  const int64_t padded_width = geometry.width + 2 * geometry.pad_width;
  if (padded_height < geometry.kernel_height || padded_width < geometry.kernel_width) {
    return Error("the kernel spans [", geometry.kernel_height, ", ", geometry.kernel_width,
                 "], more than the padded image [", padded_height, ", ", padded_width, "]");
  }
  return geometry;
}

}  // namespace bitgrad
