// What BNN+ adds to the loss to draw latent weights towards +-alpha, and alpha towards their magnitudes. float32.
//
// Source: Darabi et al., "Regularized binary network training" (BNN+), arXiv 1812.11800, section 3.1.

#ifndef BITGRAD_OPS_KERNELS_SCALE_PENALTY_H_
#define BITGRAD_OPS_KERNELS_SCALE_PENALTY_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

//   kR1   |alpha - |w||       dw = -sign(alpha - |w|) sign(w)       dalpha = sign(alpha - |w|)
//   kR2   (alpha - |w|)^2     dw = -2 (alpha - |w|) sign(w)         dalpha = 2 (alpha - |w|)
//
// sign(w) is +1 where w = 0; sign(alpha - |w|) is 0 where that is 0.
enum class ScalePenaltyKind { kR1, kR2 };

// *y = the sum of the penalty over all elements of w, accumulated in double over fixed blocks.   w [m, n], alpha [m]
// with alpha_stride 1, or one number for all rows with 0
using ScalePenaltyForward = void(ExecContext& context, ScalePenaltyKind kind, ConstMatrixView<float> w,
                                 const float* alpha, int64_t alpha_stride, float* y);

// The gradients for *dy: of w, and of alpha, accumulated in double in a fixed order.   dw [m, n], dalpha as alpha
using ScalePenaltyBackward = void(ExecContext& context, ScalePenaltyKind kind, ConstMatrixView<float> w,
                                  const float* alpha, int64_t alpha_stride, const float* dy, MatrixView<float> dw,
                                  float* dalpha);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SCALE_PENALTY_H_
