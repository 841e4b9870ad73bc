// Quantizers over matrices: the scalar functions of ops/quantizers/ applied to every element.
//
// Where the quantizer is stochastic, the random number of element (i, j) is Uniform(rng, i * cols + j).

#ifndef BITGRAD_OPS_KERNELS_QUANTIZE_H_
#define BITGRAD_OPS_KERNELS_QUANTIZE_H_

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// Which number of a quantizer: the form's own variable, or the scale (learned, or a differentiated statistic).
enum class QuantizerNumber { kVariable, kScale };

// The numbers of a tensor beside x, in the memory of the device: [1] or, with Granularity::kRow, [rows]. Those that the
// quantizer has not are null.
struct QuantizerOperands {
  const float* statistic = nullptr;  // what QuantizeStatistic wrote
  const float* variable = nullptr;
  const float* scale = nullptr;  // for ScaleOperand::kScale
};

// statistic[0], or statistic[i] for each row i.   x [m, n] float32. The result has the same bits at any number of
// threads.
using QuantizeStatistic = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                               float* statistic);

// scale[0], or scale[i] for each of `rows` rows: the quantizer's operand / divisor, times its fixed scale.
using QuantizeScale = void(ExecContext& context, const Quantizer& quantizer, const QuantizerOperands& operands,
                           int64_t rows, float* scale);

// How a learned number begins: value[0], or value[i] for each row,
//   kVariable:  QuantizerVariable::initial() of the mean and the largest |x|
//   kScale:     the mean |x|, or 1 where that is 0
using QuantizeInitialValue = void(ExecContext& context, const Quantizer& quantizer, QuantizerNumber which,
                                  ConstMatrixView<float> x, float* value);

// running[i] += momentum * (statistic[i] - running[i]), i < count: the statistic that evaluation uses in place of a
// batch's.
using TrackStatistic = void(ExecContext& context, float momentum, const float* statistic, int64_t count,
                            float* running);

// codes[i, j] = Code(x[i, j]), an integer as float32; for an encoding of kFloat the value itself.   x, codes [m, n]
using QuantizeCodes = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                           const QuantizerOperands& operands, const RngStream& rng, MatrixView<float> codes);

// values[i, j] = Code(x[i, j]) * scale. values may be x.
using QuantizeValues = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                            const QuantizerOperands& operands, const RngStream& rng, MatrixView<float> values);

// bits[i, j] = Code(x[i, j]) > 0 and, where window.words is not null, window[i, j] = Surrogate(x[i, j]) != 0.
// REQUIRES: the encoding is kBinary; a window only where info().surrogate_is_window.
using QuantizeBits = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                          const QuantizerOperands& operands, const RngStream& rng, BitMatrixView bits,
                          BitMatrixView window);

// Int8 operands for integer products. With g = x, or x^T where `transpose`:
//   codes[i, j] = Code(g[i, j]), scale[i] = the scale of row i of g.   codes [rows, cols] of g, scale [rows]
// The random number of codes[i, j] is Uniform(rng, i * codes.cols + j). A row with a NaN gets the scale NaN, so that
// every product with it is NaN. REQUIRES: Statistic::kMaxAbs for each row, an encoding of kSigned, a stochastic
// quantizer.
using QuantizeRowsS8 = void(ExecContext& context, const Quantizer& quantizer, bool transpose, ConstMatrixView<float> x,
                            const RngStream& rng, MatrixView<int8_t> codes, float* scale);

// Where the gradients of a quantizer's numbers go, each [1] or, with Granularity::kRow, [m]; null: not wanted.
struct QuantizerGradients {
  float* variable = nullptr;
  float* scale = nullptr;
};

// dx[i, j] = dq[i, j] * Surrogate(x[i, j]) and, with pass_through, 1 in place of Surrogate(x[i, j]); then, where the
// quantizer scales_gradient(), times the scale without its divisor: Surrogate is the derivative of Code / divisor.
// dx may be dq, or have no data: then there are only the gradients of numbers. `signs` are the codes of x where those
// are binary and at hand, otherwise none: reading bits in place of x saves memory bandwidth. With sums over all
// elements, or over those of row i, accumulated in double in an order that does not depend on the number of threads,
//   variable = factor * sum dq[i, j] * VariableSurrogate(x[i, j])      factor: gradient_factor(); where the quantizer
//              scales_gradient(), times the scale, as dx
//   scale    = sum dq[i, j] * Code(x[i, j]) / divisor
using QuantizeBackward = void(ExecContext& context, const Quantizer& quantizer, bool pass_through,
                              ConstMatrixView<float> x, ConstBitMatrixView signs, const QuantizerOperands& operands,
                              const RngStream& rng, ConstMatrixView<float> dq, MatrixView<float> dx,
                              const QuantizerGradients& gradients);

// dx[i, j] += gradient * d statistic / d x[i, j], for Statistic::kMeanAbs: gradient[0 or i] * sign(x[i, j]) / n, with n
// the number of elements that share the statistic and sign(0) = +1.
using QuantizeStatisticBackward = void(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                                       const float* gradient, MatrixView<float> dx);

// out[i] = a.at(i) * b.at(i), i < count.
using CombineScales = void(ExecContext& context, const ScaleView& a, const ScaleView& b, int64_t count, float* out);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_QUANTIZE_H_
