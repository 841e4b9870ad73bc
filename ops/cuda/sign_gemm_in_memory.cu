// Large products of floats with packed signs: both operands are expanded to bf16 in memory and multiplied by cuBLASLt.
//
//   c = scale * (the sum over pieces p of a_p b)        a = a_0 + a_1 + ...
//
// The number of bf16 pieces is that of ExecContext::backward_precision(). The smallest piece comes first, so that its
// products are not rounded to the precision of the largest's sums.
//
// Limits: 2 1/8 bytes per sign and 4 + 2 pieces bytes per float at the speed of memory, then the product at the rate of
// the bf16 tensor cores.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/bf16_gemm.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/mma.h"
#include "bitgrad/ops/cuda/sign_gemm.h"
#include "bitgrad/ops/cuda/tensor_map.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// How many products of bf16 save as much time as one byte of memory traffic costs. The kernel in registers is expected
// to reach 0.6 of an H200's 989 TFLOPS, cuBLASLt 0.8: a product (2 operations) saves 2 (1/0.6 - 1/0.8) / 989e12 =
// 0.84e-15 s; a byte at 4.8 TB/s takes 208e-15 s. These are estimates; bench/cuda_sign_gemm.cc measures at which sizes
// the two are equally fast. The emulator's number is small, so that tests get here.
#ifdef BITGRAD_CUDA_EMULATED
constexpr double kProductsPerByte = 10;
#else
constexpr double kProductsPerByte = 250;
#endif

// The distance between rows of bf16: a multiple of 16 bytes.
constexpr int64_t Bf16Stride(int64_t cols) { return (cols + 7) / 8 * 8; }

// Expands the bits of each row, up to its stride, to +1 or -1: eight bits to 16 bytes. (Nobody reads the values after
// the last column.)
void ExpandSigns(ExecContext& context, ConstBitMatrixView signs, uint16_t* values) {
  const int64_t stride = Bf16Stride(signs.cols);
  ForCells(context, "expand_signs", signs.rows, stride / 8, [=] __device__(int64_t i, int64_t eight) {
    const uint32_t bits = reinterpret_cast<const uint8_t*>(signs.row(i))[eight];
    uint32_t pairs[4];
#pragma unroll
    for (int k = 0; k < 4; ++k) pairs[k] = 0xbf80bf80u ^ ((bits >> 2 * k & 1) << 15 | (bits >> (2 * k + 1) & 1) << 31);
    *reinterpret_cast<uint4*>(values + i * stride + eight * 8) = make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
  });
}

// pieces[p] = x - pieces[0] - ... - pieces[p - 1], rounded to bf16. The pieces are matrices [x.rows, x.cols], one after
// the other. A thread splits a pair of adjacent elements.
void SplitFloats(ExecContext& context, ConstMatrixView<float> x, int count, uint16_t* pieces) {
  const int64_t stride = Bf16Stride(x.cols), matrix = x.rows * stride;
  ForCells(context, "split_floats", x.rows, (x.cols + 1) / 2, [=] __device__(int64_t i, int64_t pair) {
    const int64_t j = pair * 2;
    float low = x.at(i, j), high = j + 1 < x.cols ? x.at(i, j + 1) : 0.0f;
    for (int p = 0; p < count; ++p) {
      const uint32_t low_bits = ToBf16(low), high_bits = ToBf16(high);
      *reinterpret_cast<uint32_t*>(pieces + p * matrix + i * stride + j) = low_bits | high_bits << 16;
      low -= __uint_as_float(low_bits << 16);
      high -= __uint_as_float(high_bits << 16);
    }
  });
}

}  // namespace

bool IsFasterInMemory(BackwardPrecision precision, int64_t inner, MatrixView<float> c) {
  // Before Hopper, cuBLASLt has no better instructions than the kernel in registers.
  if (ComputeCapability() < 90) return false;
  if (reinterpret_cast<uintptr_t>(c.data) % 16 != 0 || c.stride % 4 != 0) return false;
  const double m = static_cast<double>(c.rows), n = static_cast<double>(c.cols), k = static_cast<double>(inner);
  const double pieces = static_cast<double>(precision);
  const double bytes = 2.125 * k * n + (4 + 2 * pieces) * m * k + 8 * (pieces - 1) * m * n;
  return pieces * m * n * k > kProductsPerByte * bytes;
}

void SignGemmInMemory(ExecContext& context, bool transpose_a, const ScaleView& scale, ConstMatrixView<float> a,
                      ConstBitMatrixView b, MatrixView<float> c) {
  BITGRAD_DCHECK(a.rows > 0 && a.cols > 0 && b.cols > 0);
  const int pieces = static_cast<int>(context.backward_precision());
  const int64_t a_stride = Bf16Stride(a.cols), b_stride = Bf16Stride(b.cols);
  const Scratch<uint16_t> signs(context, b.rows * b_stride), floats(context, pieces * a.rows * a_stride);
  ExpandSigns(context, b, signs.data());
  SplitFloats(context, a, pieces, floats.data());
  // cuBLASLt is given the factor that the host knows; a scale in the device's memory takes a pass of its own.
  const float factor = scale.is_constant() ? scale.factor : 1.0f;
  for (int p = pieces - 1; p >= 0; --p) {
    Bf16Gemm(context, transpose_a, factor, {floats.data() + p * a.rows * a_stride, a.rows, a.cols, a_stride},
             {signs.data(), b.rows, b.cols, b_stride}, p == pieces - 1 ? 0.0f : 1.0f, c);
  }
  if (!scale.is_constant()) ScaleColumns(context, scale, c, c);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
