// Products of fixed-point codes of up to 8 bits in integers of 32 bits, with an output transform of shifts alone
// (arXiv 1901.02064; message Requantize in proto/packed_model.proto has the same formula, and
// docs/packed_model_format.md the number format). Of a convolution (conv2d.h) and, as one of 1 x 1, of a linear layer:
//
//   sum(i, o) = sum_k x(i, k) w[o, k] + bias[o] + ShiftLeft(shortcut(i, o), shortcut_shift)
//   code      = clamp(ShiftRight(sum, shift), least, most)
//
// with the shifts of shift_codes.h. x and the shortcut are stored codes (core/encoding.h), x(i, k) = x_least + c; the
// border of an image is the code 0. Sums are exact whatever the order of their terms, so every kernel gives the same
// bits. They are never floats, so the limit is not 2^24, as it is for the products of coded_gemm.h, but what
// ShiftSumsFit() allows.

#ifndef BITGRAD_OPS_KERNELS_SHIFT_PRODUCT_H_
#define BITGRAD_OPS_KERNELS_SHIFT_PRODUCT_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/types/span.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/shift_codes.h"

namespace bitgrad {

// The bounds of a sum's parts, which together are below 2^31: of the products with the shortcut, and of the bias.
inline constexpr int64_t kMaxProductSum = int64_t{1} << 30;
inline constexpr int64_t kMaxShiftedBias = int64_t{1} << 29;

// Whether k products of codes, and a shortcut's code (where its largest one is not 0), are within kMaxProductSum.
inline bool ShiftSumsFit(const Encoding& x, const Encoding& w, int64_t k, int64_t shortcut_max, int shortcut_shift) {
  const int64_t shortcut = shortcut_max << (shortcut_shift > 0 ? shortcut_shift : 0);
  return shortcut <= kMaxProductSum && DotIsWithin(x, w, k, kMaxProductSum - shortcut);
}

// What a product multiplies with, in the host's memory.
struct ShiftWeights {
  // Of one image of a convolution: its batch is not read. None: the product is a linear layer's. REQUIRES: its padding
  // is kZero.
  std::optional<ConvGeometry> geometry;
  ConstMatrixView<int8_t> w;  // [O, R*S*C/G], of a linear layer [out, in]
  int32_t x_least = 0;
  absl::Span<const int32_t> bias = {};   // [O] or empty
  absl::Span<const uint8_t> flips = {};  // [O] of 0 and 1, or empty: where it is 1 the stored code becomes levels - it
  int levels = 0;                        // 2^bits - 1
};

// The same in the memory of a device, arranged for its kernel, which alone knows how.
class ShiftFilters {
 public:
  virtual ~ShiftFilters() = default;
};
using ArrangeShiftFilters = void(ExecContext& context, const ShiftWeights& weights,
                                 std::unique_ptr<const ShiftFilters>* filters);

// What becomes of the sums. Exactly one of the matrices is set; all are [N*P*Q, O] without gaps.
struct ShiftOutput {
  MatrixView<uint8_t> codes = {};  // stored: code - least
  MatrixView<float> floats = {};   // float(sum) * scale
  MatrixView<int32_t> sums = {};
  float scale = 1;
  int shift = 0;
  ShiftRange range;
  const uint8_t* shortcut = nullptr;  // stored codes [N*P*Q, O]; null: none
  int32_t shortcut_least = 0;
  int shortcut_shift = 0;
};

// x [N, H, W, C] stored codes without gaps; of a linear layer [N, in]. REQUIRES: the filters were arranged for the same
// device; ShiftSumsFit(), |bias| <= kMaxShiftedBias, -kMaxOutputLeftShift <= shift <= kMaxShift, |shortcut_shift| <=
// kMaxShift.
using ShiftProduct = void(ExecContext& context, const ShiftFilters& filters, int64_t batch, const uint8_t* x,
                          const ShiftOutput& out);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SHIFT_PRODUCT_H_
