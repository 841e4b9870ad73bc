// Elementwise arithmetic, activations and noise. All are limited by the memory that they read and write.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/exponential.h"
#include "bitgrad/ops/quantizers/power_of_two.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Not in an anonymous namespace, because device lambdas cannot capture types from there.
struct BytesOfHost {
  static constexpr int64_t kMost = 2048;
  uint8_t value[kMost];
};

// The comparisons are written so that NaN gives NaN.
void UnaryForward(ExecContext& context, Unary op, float parameter, const float* x, float* y, int64_t count) {
  ForElements(context, "unary_forward", count, [=] __device__(int64_t i) {
    const float v = x[i];
    switch (op) {
      case Unary::kRelu: y[i] = v <= 0.0f ? 0.0f : v; break;
      case Unary::kLeakyRelu: y[i] = v > 0.0f ? v : parameter * v; break;
      case Unary::kHardtanh: y[i] = v < -1.0f ? -1.0f : v > 1.0f ? 1.0f : v; break;
      case Unary::kSigmoid: y[i] = Sigmoid(v); break;
      case Unary::kTanh: y[i] = HyperbolicTangent(v); break;
    }
  });
}

void UnaryBackward(ExecContext& context, Unary op, float parameter, const float* saved, const float* dy, float* dx,
                   int64_t count) {
  ForElements(context, "unary_backward", count, [=] __device__(int64_t i) {
    const float s = saved[i];
    const float g = dy[i];
    switch (op) {
      case Unary::kRelu: dx[i] = s > 0.0f ? g : 0.0f; break;
      case Unary::kLeakyRelu: dx[i] = g * (s > 0.0f ? 1.0f : parameter); break;
      case Unary::kHardtanh: dx[i] = fabsf(s) <= 1.0f ? g : 0.0f; break;
      case Unary::kSigmoid: dx[i] = g * s * (1.0f - s); break;
      case Unary::kTanh: dx[i] = g * (1.0f - s * s); break;
    }
  });
}

void BinaryForward(ExecContext& context, Binary op, ConstMatrixView<float> a, ConstMatrixView<float> b,
                   MatrixView<float> y) {
  ForCells(context, "binary_forward", y.rows, y.cols, [=] __device__(int64_t i, int64_t j) {
    const float u = a.at(i, j);
    const float v = b.at(i, j);
    y.at(i, j) = op == Binary::kAdd ? u + v : op == Binary::kSub ? u - v : u * v;
  });
}

void ScaleF32(ExecContext& context, float scale, const float* x, bool accumulate, float* y, int64_t count) {
  ForElements(context, "scale_f32", count,
              [=] __device__(int64_t i) { y[i] = accumulate ? scale * x[i] + y[i] : scale * x[i]; });
}

void ScaleRows(ExecContext& context, const ScaleView& scale, ConstMatrixView<float> x, MatrixView<float> y) {
  ForCells(context, "scale_rows", x.rows, x.cols,
           [=] __device__(int64_t i, int64_t j) { y.at(i, j) = x.at(i, j) * scale.at(i); });
}

void ScaleColumns(ExecContext& context, const ScaleView& scale, ConstMatrixView<float> x, MatrixView<float> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  ForCells(context, "scale_columns", x.rows, x.cols,
           [=] __device__(int64_t i, int64_t j) { y.at(i, j) = x.at(i, j) * scale.at(j); });
}

void RoundToPowers(ExecContext& context, const float* x, float* y, int64_t count) {
  ForElements(context, "round_to_powers", count, [=] __device__(int64_t i) { y[i] = SignedNearestPower(x[i]); });
}

void FillF32(ExecContext& context, float value, float* y, int64_t count) {
  ForElements(context, "fill_f32", count, [=] __device__(int64_t i) { y[i] = value; });
}

// The bytes are the kernel's arguments, as many as these may be.
void WriteBytes(ExecContext& context, absl::Span<const uint8_t> values, uint8_t* y) {
  const auto count = static_cast<int64_t>(values.size());
  for (int64_t begin = 0; begin < count; begin += BytesOfHost::kMost) {
    const int64_t part = std::min(BytesOfHost::kMost, count - begin);
    BytesOfHost bytes;
    std::copy_n(values.data() + begin, part, bytes.value);
    ForElements(context, "write_bytes", part, [=] __device__(int64_t i) { y[begin + i] = bytes.value[i]; });
  }
}

void CopyMatrix(ExecContext& context, ConstMatrixView<float> x, MatrixView<float> y) {
  ForCells(context, "copy_matrix", y.rows, y.cols, [=] __device__(int64_t i, int64_t j) { y.at(i, j) = x.at(i, j); });
}

// A block of the random generator is four numbers: one thread draws a block and uses all of it.
void DropoutApply(ExecContext& context, float keep, float divisor, const RngStream& rng, const float* x, float* y,
                  int64_t count) {
  ForElements(context, "dropout", (count + 3) / 4, [=] __device__(int64_t block) {
    const RngBlock words = RandomBlock(StepOnDevice(rng), block);
    for (int k = 0; k < 4; ++k) {
      const int64_t i = 4 * block + k;
      if (i < count) y[i] = ToUniform(words.word[k]) < keep ? x[i] / divisor : 0.0f;
    }
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
