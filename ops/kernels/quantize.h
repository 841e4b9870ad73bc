// Quantizers over matrices: the scalar functions of ops/quantizers/ applied to every element.
//
// Where the quantizer is stochastic, the random number of element (i, j) is Uniform(rng, i * cols + j). `statistic` is
// what QuantizeStatistic wrote: one float, or one per row for Statistic::kRowMaxAbs. For Statistic::kNone it is not
// read and may be null.

#ifndef BITGRAD_OPS_KERNELS_QUANTIZE_H_
#define BITGRAD_OPS_KERNELS_QUANTIZE_H_

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// statistic[0], or statistic[i] for each row i.   x [m, n] float32. The result has the same bits at any number of
// threads.
using QuantizeStatistic = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                               float* statistic);

// codes[i, j] = Code(x[i, j]), an integer as float32; for an encoding of kFloat the value itself.   x, codes [m, n]
using QuantizeCodes = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                           const float* statistic, const RngStream& rng, MatrixView<float> codes);

// values[i, j] = Code(x[i, j]) * scale, with the row's scale for Statistic::kRowMaxAbs. values may be x.
using QuantizeValues = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                            const float* statistic, const RngStream& rng, MatrixView<float> values);

// bits[i, j] = Code(x[i, j]) > 0 and, where window.words is not null, window[i, j] = Surrogate(x[i, j]) != 0.
// REQUIRES: the encoding is kBinary; a window only where info().surrogate_is_window.
using QuantizeBits = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                          const float* statistic, const RngStream& rng, BitMatrixView bits, BitMatrixView window);

// Int8 operands for integer products. With g = x, or x^T where `transpose`:
//   codes[i, j] = Code(g[i, j]), scale[i] = the scale of row i of g.   codes [rows, cols] of g, scale [rows]
// The random number of codes[i, j] is Uniform(rng, i * codes.cols + j). A row with a NaN gets the scale NaN, so that
// every product with it is NaN. REQUIRES: Statistic::kRowMaxAbs, an encoding of kSigned, a stochastic quantizer.
using QuantizeRowsS8 = void(ExecContext& context, const Quantizer& quantizer, bool transpose, ConstMatrixView<float> x,
                            const RngStream& rng, MatrixView<int8_t> codes, float* scale);

// dx[i, j] = dq[i, j] * Surrogate(x[i, j]).   dx may be dq.
using QuantizeBackward = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                              const float* statistic, ConstMatrixView<float> dq, MatrixView<float> dx);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_QUANTIZE_H_
