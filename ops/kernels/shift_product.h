// Products of fixed-point codes of up to 8 bits in integers of 32 bits, with an output transform of shifts alone
// (arXiv 1901.02064; message Requantize in proto/packed_model.proto has the same formula, and
// docs/packed_model_format.md the number format). Of a convolution (conv2d.h) and, as one of 1 x 1, of a linear layer:
//
//   sum(i, o) = sum_k x(i, k) w[o, k] + bias[o] + ShiftLeft(shortcut(i, o), shortcut_shift)
//   code      = clamp(ShiftRight(sum, shift), least, most)
//
//   ShiftRight(v, s) = (v + 2^(s - 1)) >> s, which rounds halves up, for s > 0; v for s = 0; v << -s for s < 0
//   ShiftLeft(v, s) = ShiftRight(v, -s)
//
// x and the shortcut are stored codes (core/encoding.h), x(i, k) = x_least + c; the border of an image is the code 0.
// Sums are exact whatever the order of their terms, so every kernel gives the same bits. They are never floats, so the
// limit is not 2^24, as it is for the products of coded_gemm.h, but what CheckShiftSums() allows.

#ifndef BITGRAD_OPS_KERNELS_SHIFT_PRODUCT_H_
#define BITGRAD_OPS_KERNELS_SHIFT_PRODUCT_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad {

// No shift is longer. What a rounding adds is then at most 2^27.
inline constexpr int kMaxShift = 28;
// Shifts to the left of what becomes codes: larger ones would leave nothing but the ends of the range.
inline constexpr int kMaxOutputLeftShift = 15;
// The bounds of a sum's parts, which together are below 2^31: of the products with the shortcut, and of the bias.
inline constexpr int64_t kMaxProductSum = int64_t{1} << 30;
inline constexpr int64_t kMaxShiftedBias = int64_t{1} << 29;

// REQUIRES: |s| <= kMaxShift, and the result is an int32.
constexpr int32_t ShiftRight(int32_t v, int s) {
  if (s > 0) return (v + (int32_t{1} << (s - 1))) >> s;
  return static_cast<int32_t>(static_cast<int64_t>(v) * (int64_t{1} << -s));
}
constexpr int32_t ShiftLeft(int32_t v, int s) { return ShiftRight(v, -s); }

// Whether k products of codes, and a shortcut's code (where its largest one is not 0), are within kMaxProductSum.
inline bool ShiftSumsFit(const Encoding& x, const Encoding& w, int64_t k, int64_t shortcut_max, int shortcut_shift) {
  const int64_t shortcut = shortcut_max << (shortcut_shift > 0 ? shortcut_shift : 0);
  return shortcut <= kMaxProductSum && DotIsWithin(x, w, k, kMaxProductSum - shortcut);
}

// The weights, arranged for the kernel, with what is added to each output.
class ShiftFilters {
 public:
  // geometry: of one image; its batch is not read. w [O, R*S*C/G], from -128 to 127. bias [O] or empty. flips [O] of 0
  // and 1, or empty: where it is 1 the stored code becomes levels - it. REQUIRES: padding is kZero.
  ShiftFilters(const ConvGeometry& geometry, ConstMatrixView<int8_t> w, int32_t x_least, absl::Span<const int32_t> bias,
               absl::Span<const uint8_t> flips, int levels);
  // Of a linear layer: w [out, in].
  ShiftFilters(ConstMatrixView<int8_t> w, int32_t x_least, absl::Span<const int32_t> bias,
               absl::Span<const uint8_t> flips, int levels);

  // A run of filters that the kernel multiplies at once, `vectors` vectors of lanes.
  struct Panel {
    int64_t group;  // of channels
    int64_t first;  // filter, of all groups
    int64_t filters;
    int vectors;
    int64_t offset;  // of its weights in panels
    int64_t terms;   // of its filters in terms and flips
  };

  // For kernels.
  ConvGeometry geometry;
  bool is_linear = false;
  uint8_t border = 0;             // the stored code of 0
  std::vector<int64_t> segments;  // where each run of a patch begins in the padded image, from its pixel on
  int64_t segment_size = 0;       // bytes of a run
  int64_t steps = 0;              // of four bytes each, in a run
  std::vector<Panel> panels;
  Tensor weights;              // int32, of four bytes each
  Tensor terms;                // int32: bias + x_least * (sum of the filter's weights)
  std::vector<uint8_t> flips;  // levels or 0 for each filter; empty: none

 private:
  void Arrange(ConstMatrixView<int8_t> w, int32_t x_least, absl::Span<const int32_t> bias,
               absl::Span<const uint8_t> flip, int levels);
};

// What becomes of the sums. Exactly one of the matrices is set; all are [N*P*Q, O] without gaps.
struct ShiftOutput {
  MatrixView<uint8_t> codes = {};  // stored: code - least
  MatrixView<float> floats = {};   // float(sum) * scale
  MatrixView<int32_t> sums = {};
  float scale = 1;
  int shift = 0;
  int32_t least = 0, most = 0;
  const uint8_t* shortcut = nullptr;  // stored codes [N*P*Q, O]; null: none
  int32_t shortcut_least = 0;
  int shortcut_shift = 0;
};

// x [N, H, W, C] stored codes without gaps; of a linear layer [N, in]. REQUIRES: ShiftSumsFit(), |bias| <=
// kMaxShiftedBias, -kMaxOutputLeftShift <= shift <= kMaxShift, |shortcut_shift| <= kMaxShift.
using ShiftProduct = void(ExecContext& context, const ShiftFilters& filters, int64_t batch, const uint8_t* x,
                          const ShiftOutput& out);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_SHIFT_PRODUCT_H_
