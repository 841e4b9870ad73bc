// Float convolutions with many small groups (depthwise ones), computed sum by sum, all groups at once. As products of
// patches (conv2d.cu) they would take a few launches per group, each with next to no work.

#ifndef BITGRAD_OPS_CUDA_DIRECT_CONV2D_H_
#define BITGRAD_OPS_CUDA_DIRECT_CONV2D_H_

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Whether groups are too small for matrix products: with so few channels or filters the product's tiles would be mostly
// empty.
inline bool ConvolvesDirectly(const ConvGeometry& g) {
  constexpr int64_t kFew = 8;
  return g.groups > 1 && g.group_channels() <= kFew && g.group_filters() <= kFew;
}

// The contracts are those of ops/kernels/conv2d.h.
void DirectConv2dF32(ExecContext& context, const ConvGeometry& geometry, const float* x, const float* w, float* y);
void DirectConv2dBackwardInputF32(ExecContext& context, const ConvGeometry& geometry, const float* dy, const float* w,
                                  float* dx);
void DirectConv2dBackwardWeightF32(ExecContext& context, const ConvGeometry& geometry, const float* x, const float* dy,
                                   float* dw);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_DIRECT_CONV2D_H_
