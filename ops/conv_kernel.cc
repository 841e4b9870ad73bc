#include "ops/conv_kernel.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/tensor.h"
#include "ops/dispatch.h"

namespace bitgrad {
namespace {

constexpr int kMaxPlanes = 8;  // what the kernels take (ops/kernels/coded_gemm.h)
constexpr int64_t kMinGroupChannels = 32;

// Why it has to be the float convolution; null where integers do.
const char* WhyFloat(const Encoding& x, const Encoding& w, const ConvGeometry& geometry, bool threshold) {
  if (!x.is_integer()) return "float input";
  if (!w.is_integer()) return "float weights";
  if (!DotIsExact(x, w, geometry.patch_size())) return "sums may exceed 2^24";
  if (x.bits > kMaxPlanes || w.bits > kMaxPlanes) return "codes of more than 8 bits";
  if (!threshold && geometry.groups > 1 && geometry.group_channels() < kMinGroupChannels) return "groups of less than 32 channels";
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
    case ConvKernel::kCodes: return absl::StrCat(x.bits, " x ", w.bits, " bit codes");
    case ConvKernel::kFloat: break;
  }
  return absl::StrCat("float convolution (", WhyFloat(x, w, geometry, threshold), ")");
}

bool BorderCode(const Encoding& x, float scale, Padding padding, int32_t* code) {
  *code = 0;
  if (padding == Padding::kZero) return true;
  const float magnitude = std::round(1.0f / scale);
  if (!(std::abs(magnitude * scale - 1.0f) < 1e-6f) || magnitude > static_cast<float>(x.max_code())) return false;
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
