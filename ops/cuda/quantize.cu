// Quantizers over matrices: the scalar functions of ops/quantizers/, with a kernel instantiated for each. Limited by
// memory: 8 bytes per element. Random numbers come in blocks of four, so a thread processes four elements: with one
// block, and with accesses of 16 bytes where rows follow each other without gaps.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/quads.h"
#include "bitgrad/ops/kernels/row_numbers.h"
#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// y[i, j] = Code(x[i, j]), times the scale where kScaled. y may be x.
template <typename Q, bool kScaled>
__global__ void QuantizeKernel(QuantizerArgs args, ConstMatrixView<float> x, bool whole_x, RowNumbers numbers,
                               RngStream given_rng, MatrixView<float> y, bool whole_y) {
  const RngStream rng = StepOnDevice(given_rng);
  ForEachQuad(x.rows, x.cols, [&](const Quad& quad) {
    FourOf<float> four = LoadQuad(x, quad, whole_x);
    RngBlock random = {};
    if constexpr (Q::kStochastic) random = RandomBlock(rng, static_cast<uint64_t>(quad.first / 4));
    int64_t row = quad.i;
    QuantizerNumbers of_row = numbers.of(row);
    float scale = numbers.scale(row);
    ForEachOfQuad(quad, x.cols, [&](int k, int64_t i, int64_t) {
      if (i != row && numbers.stride != 0) {
        row = i;
        of_row = numbers.of(row);
        scale = numbers.scale(row);
      }
      const float code = Q::Code(four.value[k], args, of_row, Q::kStochastic ? ToUniform(random.word[k]) : 0.0f);
      four.value[k] = kScaled ? code * scale : code;
    });
    StoreQuad(four, y, quad, whole_y);
  });
}

template <typename Q, bool kScaled>
void LaunchQuantize(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                    const QuantizerOperands& operands, const RngStream& rng, MatrixView<float> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  if (x.size() == 0) return;
  Launch(context, kScaled ? "quantize_values" : "quantize_codes", QuantizeKernel<Q, kScaled>, OverQuads(x.rows, x.cols),
         quantizer.args(), x, HasWholeQuads(x), RowNumbersOf(quantizer, operands), rng, y, HasWholeQuads(y));
}

}  // namespace

void QuantizeCodes(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                   const QuantizerOperands& operands, const RngStream& rng, MatrixView<float> codes) {
  DispatchQuantizer(quantizer.info(),
                    [&]<typename Q>() { LaunchQuantize<Q, false>(context, quantizer, x, operands, rng, codes); });
}

void QuantizeValues(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                    const QuantizerOperands& operands, const RngStream& rng, MatrixView<float> values) {
  DispatchQuantizer(quantizer.info(),
                    [&]<typename Q>() { LaunchQuantize<Q, true>(context, quantizer, x, operands, rng, values); });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
