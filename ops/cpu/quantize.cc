// Quantizers over matrices. Every kernel is a template over the structs of ops/quantizers/list.h and dispatches once
// per piece of a row. The scalar functions are inlined into the loops, which vectorize where the function allows it.

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/row_numbers.h"
#include "bitgrad/ops/quantizers/list.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/quantize.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"
#include "bitgrad/ops/cpu/quantize_piece-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

void QuantizeScaled(const QuantizePiece& piece, float scale, float* y) {
  DispatchQuantizer(piece.quantizer->info(), [&]<typename Q>() {
    for (int64_t j = 0; j < piece.count; j += Uniforms::kCount) {
      Codes<Q>(piece, j, std::min(Uniforms::kCount, piece.count - j), scale, y + j);
    }
  });
}

void QuantizeBits(const QuantizePiece& piece, int64_t words, uint64_t* bits, uint64_t* window) {
  DispatchQuantizer(piece.quantizer->info(), [&]<typename Q>() {
    if constexpr (std::is_base_of_v<SignQuantizer, Q>) {
      PackSignSegment(piece.x, piece.count, words, bits);
    } else {
      // Binary codes are -1 and +1, so the bits are their signs.
      static_assert(Uniforms::kCount % 64 == 0);
      float codes[Uniforms::kCount];
      int64_t j = 0;
      do {
        const int64_t count = std::min(Uniforms::kCount, piece.count - j);
        const bool last = j + count == piece.count;
        Codes<Q>(piece, j, count, 1.0f, codes);
        PackSignSegment(codes, count, last ? words - j / 64 : count / 64, bits + j / 64);
        j += count;
      } while (j < piece.count);
    }
    // All quantizers for which a window may be requested have the window 1{|x| <= 1}.
    if (window != nullptr) PackWindowSegment(piece.x, piece.count, words, window);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(QuantizeScaled);
HWY_EXPORT(QuantizeBits);

void Quantize(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
              const QuantizerOperands& operands, const RngStream& rng, bool scaled, MatrixView<float> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  const RowNumbers numbers = RowNumbersOf(quantizer, operands);
  const bool flat = x.contiguous() && y.contiguous() && numbers.stride == 0;
  ForEachSegment(context.threads(), x.rows, x.cols, flat, [&](int64_t i, int64_t begin, int64_t end) {
    const QuantizePiece piece = {&quantizer, x.row(i) + begin, end - begin, numbers.of(i), &rng, i * x.cols + begin};
    HWY_DYNAMIC_DISPATCH(QuantizeScaled)(piece, scaled ? numbers.scale(i) : 1.0f, y.row(i) + begin);
  });
}

}  // namespace

void QuantizeCodes(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                   const QuantizerOperands& operands, const RngStream& rng, MatrixView<float> codes) {
  Quantize(context, quantizer, x, operands, rng, /*scaled=*/false, codes);
}

void QuantizeValues(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                    const QuantizerOperands& operands, const RngStream& rng, MatrixView<float> values) {
  Quantize(context, quantizer, x, operands, rng, /*scaled=*/true, values);
}

void QuantizeBits(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                  const QuantizerOperands& operands, const RngStream& rng, BitMatrixView bits, BitMatrixView window) {
  BITGRAD_DCHECK(quantizer.encoding().kind == EncodingKind::kBinary);
  BITGRAD_DCHECK(window.words == nullptr || quantizer.info().surrogate_is_window);
  BITGRAD_DCHECK(bits.rows == x.rows && bits.cols == x.cols);
  const RowNumbers numbers = RowNumbersOf(quantizer, operands);
  ForEachBitSegment(context.threads(), x.rows, x.cols, [&](const BitSegment& s) {
    const QuantizePiece piece = {&quantizer, x.row(s.row) + s.begin,  s.size(), numbers.of(s.row),
                                 &rng,       s.row * x.cols + s.begin};
    HWY_DYNAMIC_DISPATCH(QuantizeBits)
    (piece, s.words, bits.row(s.row) + s.word(), window.words == nullptr ? nullptr : window.row(s.row) + s.word());
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
