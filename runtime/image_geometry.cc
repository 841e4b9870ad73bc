#include "runtime/image_geometry.h"

#include <initializer_list>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/conv_kernel.h"

namespace bitgrad {
namespace {

// More than any image has; the product of three, an image's channels among them, has an int64.
constexpr int32_t kMaxExtent = 1 << 19;

template <typename... Args>
absl::Status Error(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

absl::Status CheckExtents(std::initializer_list<std::pair<const char*, int32_t>> extents, int32_t least) {
  for (const auto& [name, extent] : extents) {
    if (extent < least || extent > kMaxExtent) {
      return Error(name, ": ", extent, " is not in [", least, ", ", kMaxExtent, "]");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckImage(const Shape& example) {
  if (example.rank() == 3) return absl::OkStatus();
  return Error("operands: shape ", example.ToString(), " is no image [height, width, channels]");
}

absl::Status CheckFits(int64_t height, int64_t width, int64_t span_height, int64_t span_width) {
  if (height >= span_height && width >= span_width) return absl::OkStatus();
  return Error("the kernel spans [", span_height, ", ", span_width, "], more than the padded image [", height, ", ", width,
               "]");
}

}  // namespace

absl::StatusOr<ConvGeometry> GeometryOf(const packed::Conv2d& conv, const Shape& example, const Shape& weight) {
  BITGRAD_RETURN_IF_ERROR(CheckImage(example));
  BITGRAD_RETURN_IF_ERROR(CheckExtents({{"conv2d.kernel_height", conv.kernel_height()},
                                        {"conv2d.kernel_width", conv.kernel_width()},
                                        {"conv2d.stride_height", conv.stride_height()},
                                        {"conv2d.stride_width", conv.stride_width()},
                                        {"conv2d.dilation_height", conv.dilation_height()},
                                        {"conv2d.dilation_width", conv.dilation_width()},
                                        {"conv2d.groups", conv.groups()}},
                                       1));
  BITGRAD_RETURN_IF_ERROR(
      CheckExtents({{"conv2d.pad_height", conv.pad_height()}, {"conv2d.pad_width", conv.pad_width()}}, 0));
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
  if (weight.rank() != 2 || geometry.channels % geometry.groups != 0 || geometry.filters % geometry.groups != 0 ||
      weight.cols() != geometry.patch_size()) {
    return Error("conv2d.weight: its shape ", weight.ToString(), " does not go with images of shape ", example.ToString(),
                 ", a kernel of [", conv.kernel_height(), ", ", conv.kernel_width(), "] and ", conv.groups(), " groups");
  }
  BITGRAD_RETURN_IF_ERROR(CheckFits(geometry.height + 2 * geometry.pad_height, geometry.width + 2 * geometry.pad_width,
                                    geometry.dilation_height * (geometry.kernel_height - 1) + 1,
                                    geometry.dilation_width * (geometry.kernel_width - 1) + 1));
  BITGRAD_RETURN_IF_ERROR(CheckConvLimits(geometry));
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
  const PoolGeometry geometry = {.batch = 1,
                                 .height = example.dim(0),
                                 .width = example.dim(1),
                                 .channels = example.dim(2),
                                 .kernel_height = pool.kernel_height(),
                                 .kernel_width = pool.kernel_width(),
                                 .stride_height = pool.stride_height(),
                                 .stride_width = pool.stride_width(),
                                 .pad_height = pool.pad_height(),
                                 .pad_width = pool.pad_width()};
  BITGRAD_RETURN_IF_ERROR(CheckFits(geometry.height + 2 * geometry.pad_height, geometry.width + 2 * geometry.pad_width,
                                    geometry.kernel_height, geometry.kernel_width));
  return geometry;
}

}  // namespace bitgrad
