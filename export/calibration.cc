#include "bitgrad/export/calibration.h"

#include <cmath>

#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {

std::vector<float> FloatProduct(ExecContext& context, const UnifiedModule& module, int64_t images,
                                const std::vector<float>& x, const float* shortcut) {
  const int64_t rows = images * module.example.num_elements() / module.outputs;
  std::vector<float> y(static_cast<size_t>(rows * module.outputs));
  if (module.is_conv) {
    ConvGeometry geometry = module.geometry;
    geometry.batch = images;
    FloatConvolution(context, geometry, /*border=*/0, x.data(), module.weight.data(), y.data());
  } else {
    KernelsFor(context.device())
        .gemm_f32(context, false, true, 1.0f, {x.data(), rows, module.terms},
                  {module.weight.data(), module.outputs, module.terms}, 0.0f, {y.data(), rows, module.outputs});
  }
  for (int64_t i = 0; i < rows * module.outputs; ++i) {
    if (!module.bias.empty()) y[i] += module.bias[i % module.outputs];
    if (shortcut != nullptr) y[i] += shortcut[i];
    if (module.relu && !(y[i] > 0) && !std::isnan(y[i])) y[i] = 0;
  }
  return y;
}

}  // namespace bitgrad
