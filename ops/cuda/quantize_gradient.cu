// The backward pass of quantizers: with respect to what was quantized, to a form's variable and to a learned scale.
// Limited by memory: 12 bytes per element, 8 for the sums. The sums always run in the same order.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/ops/cuda/block_sum.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/quads.h"
#include "bitgrad/ops/cuda/sums_over_rows.h"
#include "bitgrad/ops/kernels/row_numbers.h"
#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// In place of a quantizer, for the straight-through estimator without a window.
struct PassThrough {
  static constexpr float Surrogate(float, const QuantizerArgs&, const QuantizerNumbers&) { return 1.0f; }
};

// dx may be dq.
template <typename Q>
__global__ void QuantizeBackwardKernel(QuantizerArgs args, ConstMatrixView<float> x, bool whole_x, RowNumbers numbers,
                                       ConstMatrixView<float> dq, bool whole_dq, MatrixView<float> dx, bool whole_dx) {
  ForEachQuad(x.rows, x.cols, [&](const Quad& quad) {
    const FourOf<float> in = LoadQuad(x, quad, whole_x);
    FourOf<float> gradient = LoadQuad(dq, quad, whole_dq);
    ForEachOfQuad(quad, x.cols, [&](int k, int64_t i, int64_t) {
      gradient.value[k] =
          gradient.value[k] * Q::Surrogate(in.value[k], args, numbers.of(i)) * numbers.gradient_scale(i);
    });
    StoreQuad(gradient, dx, quad, whole_dx);
  });
}

template <typename Q>
void LaunchQuantizeBackward(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                            const QuantizerOperands& operands, ConstMatrixView<float> dq, MatrixView<float> dx) {
  Launch(context, "quantize_backward", QuantizeBackwardKernel<Q>, OverQuads(x.rows, x.cols), quantizer.args(), x,
         HasWholeQuads(x), RowNumbersOf(quantizer, operands), dq, HasWholeQuads(dq), dx, HasWholeQuads(dx));
}

// What dq[i, j] is multiplied with in the sum: VariableSurrogate(x) or, for the gradient of the scale, Code(x).
template <typename Q, bool kOfScale>
__device__ float FactorOf(float x, const QuantizerArgs& args, const QuantizerNumbers& numbers, uint32_t random) {
  if constexpr (kOfScale) {
    return Q::Code(x, args, numbers, ToUniform(random));
  } else {
    return Q::VariableSurrogate(x, args, numbers);
  }
}

template <typename Q, bool kOfScale>
inline constexpr bool kDraws = Q::kStochastic&& kOfScale;

template <typename Q, bool kOfScale>
struct VariableTerm {
  QuantizerArgs args;
  ConstMatrixView<float> x, dq;
  RowNumbers numbers;
  RngStream rng;

  // The term of one element of a row.
  __device__ double operator()(int64_t i, int64_t j) const {
    uint32_t random = 0;
    if constexpr (kDraws<Q, kOfScale>) {
      random = RandomWord(StepOnDevice(rng), static_cast<uint64_t>(i * x.cols + j));
    }
    return static_cast<double>(dq.at(i, j)) * FactorOf<Q, kOfScale>(x.at(i, j), args, numbers.of(i), random);
  }
};

template <typename Q, bool kOfScale>
struct VariableSumOfThread {
  QuantizerArgs args;
  ConstMatrixView<float> x, dq;
  bool whole_x, whole_dq;
  RowNumbers numbers;
  RngStream given_rng;

  // This thread's part of the sum over the matrix.
  __device__ double operator()() const {
    const QuantizerNumbers of_tensor = numbers.of(0);
    const RngStream rng = StepOnDevice(given_rng);
    double sum = 0;
    ForEachQuad(x.rows, x.cols, [&](const Quad& quad) {
      const FourOf<float> in = LoadQuad(x, quad, whole_x), gradient = LoadQuad(dq, quad, whole_dq);
      RngBlock random = {};
      if constexpr (kDraws<Q, kOfScale>) random = RandomBlock(rng, static_cast<uint64_t>(quad.first / 4));
      ForEachOfQuad(quad, x.cols, [&](int k, int64_t, int64_t) {
        sum += static_cast<double>(gradient.value[k]) *
               FactorOf<Q, kOfScale>(in.value[k], args, of_tensor, random.word[k]);
      });
    });
    return sum;
  }
};

struct FinishVariableGradient {
  double factor;
  bool scaled;  // the form's variable acts on the value through the scale; the scale acts on it directly
  RowNumbers numbers;
  float* gradient;

  __device__ void operator()(int64_t i, double sum) const {
    const double scale = scaled ? numbers.gradient_scale(i) : 1.0f;
    gradient[i] = static_cast<float>(factor * scale * sum);
  }
  __device__ void operator()(double sum) const { (*this)(0, sum); }
};

template <typename Q, bool kOfScale>
void LaunchVariableGradient(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                            const QuantizerOperands& operands, const RngStream& rng, ConstMatrixView<float> dq,
                            float* gradient) {
  const bool per_row = quantizer.granularity() == Granularity::kRow;
  const RowNumbers numbers = RowNumbersOf(quantizer, operands);
  const QuantizerNumber which = kOfScale ? QuantizerNumber::kScale : QuantizerNumber::kVariable;
  const double factor = VariableGradientFactor(quantizer, which, per_row ? x.cols : x.size());
  const FinishVariableGradient finish = {factor, !kOfScale, numbers, gradient};
  if (per_row) {
    SumOverRows(context, "quantize_variable_gradient", x.rows, x.cols,
                VariableTerm<Q, kOfScale>{quantizer.args(), x, dq, numbers, rng}, finish);
  } else {
    SumOverGrid(
        context, "quantize_variable_gradient", SumBlocks(x.size()),
        VariableSumOfThread<Q, kOfScale>{quantizer.args(), x, dq, HasWholeQuads(x), HasWholeQuads(dq), numbers, rng},
        finish);
  }
}

}  // namespace

void QuantizeBackward(ExecContext& context, const Quantizer& quantizer, bool pass_through, ConstMatrixView<float> x,
                      ConstBitMatrixView /*signs*/, const QuantizerOperands& operands, const RngStream& rng,
                      ConstMatrixView<float> dq, MatrixView<float> dx, const QuantizerGradients& gradients) {
  BITGRAD_DCHECK(x.rows == dq.rows && x.cols == dq.cols &&
                 (dx.data == nullptr || (x.rows == dx.rows && x.cols == dx.cols)));
  // Before dx, which may be dq.
  DispatchQuantizer(quantizer.info(), [&]<typename Q>() {
    if (gradients.variable != nullptr) {
      LaunchVariableGradient<Q, false>(context, quantizer, x, operands, rng, dq, gradients.variable);
    }
    if (gradients.scale != nullptr) {
      LaunchVariableGradient<Q, true>(context, quantizer, x, operands, rng, dq, gradients.scale);
    }
  });
  if (x.size() == 0 || dx.data == nullptr) return;
  if (pass_through) return LaunchQuantizeBackward<PassThrough>(context, quantizer, x, operands, dq, dx);
  DispatchQuantizer(quantizer.info(),
                    [&]<typename Q>() { LaunchQuantizeBackward<Q>(context, quantizer, x, operands, dq, dx); });
}

void QuantizeStatisticBackward(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                               const float* gradient, MatrixView<float> dx) {
  BITGRAD_DCHECK(quantizer.statistic() == Statistic::kMeanAbs);
  BITGRAD_DCHECK(x.rows == dx.rows && x.cols == dx.cols);
  const int64_t stride = quantizer.granularity() == Granularity::kRow ? 1 : 0;
  const float count = static_cast<float>(stride == 1 ? x.cols : x.size());
  ForCells(context, "quantize_statistic_backward", x.rows, x.cols, [=] __device__(int64_t i, int64_t j) {
    const float value = gradient[i * stride] / count;
    dx.at(i, j) += x.at(i, j) >= 0.0f ? value : -value;
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
