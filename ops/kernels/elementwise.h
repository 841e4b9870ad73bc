// Elementwise arithmetic and activations, float32.

#ifndef BITGRAD_OPS_KERNELS_ELEMENTWISE_H_
#define BITGRAD_OPS_KERNELS_ELEMENTWISE_H_

#include <cstdint>

#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

//   kRelu       max(x, 0)                        dx = dy * 1{x > 0}
//   kLeakyRelu  x > 0 ? x : a x                  dx = dy * (x > 0 ? 1 : a)        a: parameter
//   kHardtanh   clip(x, -1, 1)                   dx = dy * 1{|x| <= 1}
//   kSigmoid    Sigmoid(x)                       dx = dy * y (1 - y)                (ops/kernels/exponential.h)
//   kTanh       HyperbolicTangent(x)             dx = dy * (1 - y^2)
// NaN stays NaN in the forward pass.
enum class Unary : int { kRelu = 1, kLeakyRelu = 2, kHardtanh = 3, kSigmoid = 4, kTanh = 5 };

// y = f(x).   x, y [count]; y may be x.
using UnaryForward = void(ExecContext& context, Unary op, float parameter, const float* x, float* y, int64_t count);

// dx from dy and `saved`: the input x for kRelu, kLeakyRelu and kHardtanh, the output y for kSigmoid and kTanh.
// dx may be dy.
using UnaryBackward = void(ExecContext& context, Unary op, float parameter, const float* saved, const float* dy,
                           float* dx, int64_t count);

enum class Binary : int { kAdd = 1, kSub = 2, kMul = 3 };

// y[i, j] = a[i, j] op b[i, j].   [m, n] all; b.stride = 0 broadcasts one row over the batch; y may be a.
using BinaryForward = void(ExecContext& context, Binary op, ConstMatrixView<float> a, ConstMatrixView<float> b,
                           MatrixView<float> y);

// y = scale * x + (accumulate ? y : 0).   y may be x.
using ScaleF32 = void(ExecContext& context, float scale, const float* x, bool accumulate, float* y, int64_t count);

// y[i, j] = x[i, j] * scale.at(i).   x, y [m, n], of any strides; y may be x
using ScaleRows = void(ExecContext& context, const ScaleView& scale, ConstMatrixView<float> x, MatrixView<float> y);

// y[i, j] = x[i, j] * scale.at(j).   x, y [m, n], of any strides; y may be x
using ScaleColumns = void(ExecContext& context, const ScaleView& scale, ConstMatrixView<float> x, MatrixView<float> y);

// y[i] = AP2(x[i]) = sign(x[i]) 2^round(log2 |x[i]|): SignedNearestPower().   x, y [count]; y may be x.
using RoundToPowers = void(ExecContext& context, const float* x, float* y, int64_t count);

// y[i] = value, i < count.
using FillF32 = void(ExecContext& context, float value, float* y, int64_t count);

// y[i] = values[i], where `values` lie in the host's memory and have been read when the call returns. Work that uploads
// cannot be recorded (core/recorded_work.h); work that does this can. For small arrays.
using WriteBytes = void(ExecContext& context, absl::Span<const uint8_t> values, uint8_t* y);

// y[i, j] = x[i, j].   x, y [m, n], of any strides: for concat and its backward pass.
using CopyMatrix = void(ExecContext& context, ConstMatrixView<float> x, MatrixView<float> y);

// Dropout: y[i] = Uniform(rng, i) < keep ? x[i] / divisor : 0. The backward pass is the same call on dy with the same
// rng, so no mask is stored.   x, y [count]; y may be x. REQUIRES: 0 < keep <= 1.
using DropoutApply = void(ExecContext& context, float keep, float divisor, const RngStream& rng, const float* x,
                          float* y, int64_t count);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_ELEMENTWISE_H_
