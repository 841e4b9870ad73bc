#include "bitgrad/ops/conv_kernel.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

constexpr int64_t kMinGroupChannels = 32;

// Why it has to be the float convolution; null where integers do.
const char* WhyFloat(const Encoding& x, const Encoding& w, const ConvGeometry& geometry, bool threshold) {
  if (!x.is_integer()) return "float input";
  if (!w.is_integer()) return "float weights";
  if (x.is_log() || w.is_log()) {
    if (LogSumsOf(x, w, geometry.patch_size()) != LogSums::kInt32) return "sums may exceed 32 bits";
  } else if (!DotIsExact(x, w, geometry.patch_size())) {
    return "sums may exceed 2^24";
  }
  if (x.bits > kMaxCodeBits || w.bits > kMaxCodeBits) return "codes of more than 8 bits";
  if (!threshold && geometry.groups > 1 && geometry.group_channels() < kMinGroupChannels)
    return "groups of less than 32 channels";
  return nullptr;
}

}  // namespace

ConvKernel ChooseConvKernel(const Encoding& x, const Encoding& w, const ConvGeometry& geometry, bool threshold) {
  if (WhyFloat(x, w, geometry, threshold) != nullptr) return ConvKernel::kFloat;
  const bool binary = x.kind == EncodingKind::kBinary && w.kind == EncodingKind::kBinary;
  return binary ? ConvKernel::kXnorPopcount : ConvKernel::kCodes;
}

std::string DescribeConvKernel(const Encoding& x, const Encoding& w, const ConvGeometry& geometry, bool threshold) {
  switch (ChooseConvKernel(x, w, geometry, threshold)) {
    case ConvKernel::kXnorPopcount: return "packed XNOR-popcount";
    case ConvKernel::kCodes:
      return absl::StrCat(x.bits, x.is_log() ? " bit log x " : " x ", w.bits, w.is_log() ? " bit log" : " bit",
                          " codes");
    case ConvKernel::kFloat: break;
  }
  return absl::StrCat("float convolution (", WhyFloat(x, w, geometry, threshold), ")");
}

absl::Status CheckConvGeometry(const ConvGeometry& g) {
  constexpr double kLimit = kMaxExactFloatInteger;
  const auto error = [](const auto&... parts) { return absl::InvalidArgumentError(absl::StrCat(parts...)); };
  if (std::min({g.batch, g.height, g.width, g.channels, g.filters}) < 1) {
    return error("images [", g.batch, ", ", g.height, ", ", g.width, ", ", g.channels, "] or ", g.filters,
                 " filters are empty");
  }
  const struct {
    const char* name;
    int64_t value, least;
  } fields[] = {{"kernel_height", g.kernel_height, 1},
                {"kernel_width", g.kernel_width, 1},
                {"stride_height", g.stride_height, 1},
                {"stride_width", g.stride_width, 1},
                {"pad_height", g.pad_height, 0},
                {"pad_width", g.pad_width, 0},
                {"dilation_height", g.dilation_height, 1},
                {"dilation_width", g.dilation_width, 1},
                {"groups", g.groups, 1}};
  for (const auto& [name, value, least] : fields) {
    if (value < least || value > kMaxWindowExtent) {
      return error(name, ": ", value, " is not in [", least, ", ", kMaxWindowExtent, "]");
    }
  }
  if (g.channels % g.groups != 0 || g.filters % g.groups != 0) {
    return error(g.groups, " groups do not divide ", g.channels, " channels and ", g.filters, " filters");
  }
  // Computed in double, because products of absurd extents overflow an int64.
  const double taps = static_cast<double>(g.kernel_height) * static_cast<double>(g.kernel_width);
  if (!(taps * static_cast<double>(g.group_channels()) < kLimit)) {
    return error("a kernel of [", g.kernel_height, ", ", g.kernel_width, "] over ", g.group_channels(),
                 " channels sums up 2^24 terms or more");
  }
  const int64_t span_height = g.dilation_height * (g.kernel_height - 1) + 1;
  const int64_t span_width = g.dilation_width * (g.kernel_width - 1) + 1;
  const int64_t padded_height = g.height + 2 * g.pad_height, padded_width = g.width + 2 * g.pad_width;
  if (padded_height < span_height || padded_width < span_width) {
    return error("the kernel spans [", span_height, ", ", span_width, "], more than the padded image [", padded_height,
                 ", ", padded_width, "]");
  }
  if (g.pad_height >= span_height || g.pad_width >= span_width) {
    return error("pad [", g.pad_height, ", ", g.pad_width, "] has to be smaller than what the kernel spans, [",
                 span_height, ", ", span_width, "]");
  }
  const double image =
      static_cast<double>(padded_height) * static_cast<double>(padded_width) * static_cast<double>(g.channels);
  if (!(image < kLimit)) return error("an image with its border has 2^24 elements or more");
  const double outputs = static_cast<double>(g.out_height()) * static_cast<double>(g.out_width());
  if (!(outputs * static_cast<double>(g.filters) < kLimit))
    return error("the result has 2^24 elements per image or more");
  if (!g.has_border()) return absl::OkStatus();
  // How many rows, or columns, of outputs differ in which taps lie on the border.
  const auto classes = [](int64_t out, int64_t pad) { return static_cast<double>(std::min(out, 2 * pad + 1)); };
  const double kinds = classes(g.out_height(), g.pad_height) * classes(g.out_width(), g.pad_width);
  constexpr int64_t kGroup = 64;  // how many filters kernels compute together
  const double filters = static_cast<double>(g.groups * ((g.group_filters() + kGroup - 1) / kGroup) * kGroup);
  if (!(kinds * std::max(taps, filters) < kLimit)) {
    return error("a kernel of [", g.kernel_height, ", ", g.kernel_width, "] with pad [", g.pad_height, ", ",
                 g.pad_width, "] and ", g.filters, " filters has 2^24 sums at the border or more");
  }
  return absl::OkStatus();
}

bool BorderCode(const Encoding& x, float scale, Padding padding, int32_t* code) {
  *code = 0;
  if (padding == Padding::kZero) return true;
  const float magnitude = std::round(1.0f / scale);
  // The largest code that a convolution takes is 2^30.
  const float largest = std::min(static_cast<float>(x.max_code()), 0x1p30f);
  if (!(std::abs(magnitude * scale - 1.0f) < 1e-6f) || magnitude > largest) return false;
  *code = static_cast<int32_t>(padding == Padding::kPlusOne ? magnitude : -magnitude);
  return true;
}

ConvGeometry WithBorderInImage(const ConvGeometry& geometry) {
  ConvGeometry padded = geometry;
  padded.height += 2 * geometry.pad_height;
  padded.width += 2 * geometry.pad_width;
  padded.pad_height = padded.pad_width = 0;
  padded.padding = Padding::kZero;
  return padded;
}

void FloatConvolution(ExecContext& context, const ConvGeometry& geometry, float border, const float* x, const float* w,
                      float* y) {
  const Kernels& kernels = KernelsFor(context.device());
  if (geometry.padding == Padding::kZero || !geometry.has_border()) {
    kernels.conv2d_f32(context, geometry, x, w, y);
    return;
  }
  const ConvGeometry padded = WithBorderInImage(geometry);
  Tensor image({padded.batch, padded.height, padded.width, padded.channels}, DType::kFloat32, context.allocator());
  kernels.pad_image_f32(context, geometry, border, x, image.mutable_data<float>());
  kernels.conv2d_f32(context, padded, image.data<float>(), w, y);
}

}  // namespace bitgrad
