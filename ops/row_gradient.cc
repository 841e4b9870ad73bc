#include "bitgrad/ops/row_gradient.h"

#include <utility>

#include "bitgrad/ops/dispatch.h"

namespace bitgrad {

void ExpandRowGradient(ExecContext& context, Parameter& parameter) {
  if (!parameter.has_row_gradient()) return;
  const Kernels& kernels = KernelsFor(context.device());
  Tensor gradient(parameter.value.shape(), DType::kFloat32, context.allocator());
  kernels.fill_f32(context, 0.0f, gradient.mutable_data<float>(), gradient.num_elements());
  kernels.add_to_rows(context, parameter.gradient_rows.data<int32_t>(), parameter.gradient.matrix<float>(),
                      gradient.mutable_matrix<float>());
  parameter.gradient = std::move(gradient);
  parameter.gradient_rows = Tensor();
}

}  // namespace bitgrad
