// Conversions between packed bits and numbers. core/bit_matrix.h defines layout and polarity. All kernels that write
// bits also write the padding bits of the rows that they fill.

#ifndef BITGRAD_OPS_KERNELS_BITPACK_H_
#define BITGRAD_OPS_KERNELS_BITPACK_H_

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

// bits[i, j] = x[i, j] >= 0, and, where window.words is not null, window[i, j] = |x[i, j]| <= 1 (the mask of the
// straight-through estimator). NaN gives 0 in both.   x [m, n] float32; bits, window [m, n]
using PackSigns = void(ExecContext& context, ConstMatrixView<float> x, BitMatrixView bits, BitMatrixView window);

// y[i, j] = bits[i, j] ? +1 : -1.   y [m, n] float32
using UnpackSigns = void(ExecContext& context, ConstBitMatrixView bits, MatrixView<float> y);

// dx[i, j] = mask[i, j] ? dy[i, j] : 0.   dx may be dy.
using MaskByBits = void(ExecContext& context, ConstBitMatrixView mask, ConstMatrixView<float> dy, MatrixView<float> dx);

// Bit (i, j) of planes[b] = bit b of codes[i, j], for b = 0 .. count - 1.   codes [m, n] uint8, each plane [m, n]
using PackPlanes = void(ExecContext& context, ConstMatrixView<uint8_t> codes, int count, const BitMatrixView* planes);

// *count = the number of ones. `count` points to the device's memory. Padding bits are zero and do not count.
using CountOnes = void(ExecContext& context, ConstBitMatrixView bits, int64_t* count);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_BITPACK_H_
