// The codes of a piece of a row, for every kernel that needs them. Included through foreach_target.h only.

#include <cstdint>

#include "bitgrad/core/rng.h"
#include "bitgrad/ops/quantizers/quantizer.h"

#ifndef BITGRAD_OPS_CPU_QUANTIZE_PIECE_SHARED_
#define BITGRAD_OPS_CPU_QUANTIZE_PIECE_SHARED_
namespace bitgrad::cpu {

// A piece of a row, with everything that its quantization depends on.
struct QuantizePiece {
  const Quantizer* quantizer;
  const float* x;
  int64_t count;
  QuantizerNumbers numbers;
  const RngStream* rng;
  int64_t first_element;  // the element number of x[0] in the random stream
};

}  // namespace bitgrad::cpu
#endif  // BITGRAD_OPS_CPU_QUANTIZE_PIECE_SHARED_

#if defined(BITGRAD_OPS_CPU_QUANTIZE_PIECE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef BITGRAD_OPS_CPU_QUANTIZE_PIECE_INL_H_
#undef BITGRAD_OPS_CPU_QUANTIZE_PIECE_INL_H_
#else
#define BITGRAD_OPS_CPU_QUANTIZE_PIECE_INL_H_
#endif

#include "hwy/highway.h"
#include "bitgrad/ops/cpu/uniforms-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// Calls loop(args) where the compiler knows whether args.bits is 1. Quantizers of k bits often have one formula for one
// bit and another for more; a loop that contains both is too large for GCC to take the choice out of it, and does not
// vectorize.
template <typename Q, typename Loop>
HWY_INLINE void ForFormula(QuantizerArgs args, const Loop& loop) {
  if constexpr (Q::kArgument == QuantizerArgument::kBits) {
    if (args.bits == 1) {
      args.bits = 1;
      loop(args);
      return;
    }
    if (args.bits < 2) __builtin_unreachable();
  }
  loop(args);
}

// y[j] = Code(x[offset + j]) * scale, j < count. y may be x + offset. REQUIRES: count <= Uniforms::kCount.
template <typename Q>
HWY_INLINE void Codes(const QuantizePiece& piece, int64_t offset, int64_t count, float scale, float* y) {
  // Copies, which y cannot overlap: the loops vectorize.
  const QuantizerNumbers numbers = piece.numbers;
  const float* x = piece.x + offset;
  if constexpr (Q::kStochastic) {
    Uniforms uniforms;
    const float* u = uniforms.Fill(*piece.rng, piece.first_element + offset, count);
    ForFormula<Q>(piece.quantizer->args(), [=](const QuantizerArgs& args) {
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) y[j] = Q::Code(x[j], args, numbers, u[j]) * scale;
    });
  } else {
    ForFormula<Q>(piece.quantizer->args(), [=](const QuantizerArgs& args) {
#pragma omp simd
      for (int64_t j = 0; j < count; ++j) y[j] = Q::Code(x[j], args, numbers, 0.0f) * scale;
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#endif  // BITGRAD_OPS_CPU_QUANTIZE_PIECE_INL_H_
