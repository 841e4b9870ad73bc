// Matrix products of codes with few bits. The operands are stored as core/encoding.h says: unsigned integers c of up to
// 8 bits, with code = least + step * c. The result is
//
//   dot(i, j) = sum_k code_a[i, k] code_b[j, k]
//             = step_a step_b S + step_a least_b sum_k c_a + least_a step_b sum_k c_b + least_a least_b K
//
// with S = sum_k c_a c_b, which is a sum of popcounts over pairs of bit planes, or a sum of products of bytes. Both
// kernels are exact, so they agree to the last bit with each other and with any other exact way; ops/dot_kernel.h
// chooses between them.
//
// Both operands are row-major with K contiguous (activations [batch, in], weights [out, in]).
// REQUIRES: DotIsExact(a.encoding, b.encoding, K); padding bits are zero. m, n and K may be any, zero included.

#ifndef BITGRAD_OPS_KERNELS_CODED_GEMM_H_
#define BITGRAD_OPS_KERNELS_CODED_GEMM_H_

#include <array>
#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

inline constexpr int kMaxCodeBits = 8;

// Codes as bit planes: plane b holds bit b of c. The first encoding.bits planes are set and have equal extents and
// strides.
struct ConstPlanesView {
  Encoding encoding;
  std::array<ConstBitMatrixView, kMaxCodeBits> planes = {};

  int64_t rows() const { return planes[0].rows; }
  int64_t cols() const { return planes[0].cols; }
};

// Codes as bytes: each byte is a c.
struct ConstCodesView {
  Encoding encoding;
  ConstMatrixView<uint8_t> codes;
};

// The most thresholds that an output can have: their number is stored in a byte.
inline constexpr int kMaxLevels = 255;

// The output transform: what a kernel makes of the dot products. Exactly one of `floats`, `bits` and `codes` is set;
// all are [m, n].
struct DotOutput {
  // floats[i, j] = float(dot(i, j)) * scale.at(j)
  MatrixView<float> floats = {};
  ScaleView scale = {};
  // Bit j of row i: (dot(i, j) >= threshold[j]) != flip[j]
  BitMatrixView bits = {};
  // codes[i, j] = reached(i, j), or levels - reached(i, j) where flip[j], with
  //   reached(i, j) = #{l < levels : dot(i, j) >= threshold[l * n + j]}
  //
  // This is what follows a layer, batch norm and a quantizer of k bits, folded into 2^k - 1 comparisons of integers.
  // REQUIRES: 1 <= levels <= kMaxLevels; threshold ascends with l.
  MatrixView<uint8_t> codes = {};
  int levels = 1;
  // With bits [n], with codes [levels, n]: level_stride numbers from one level to the next, or n where that is 0.
  const int32_t* threshold = nullptr;
  int64_t level_stride = 0;
  const uint8_t* flip = nullptr;  // [n], 0 or 1

  // The number of outputs, n.
  int64_t cols() const { return floats.data != nullptr ? floats.cols : bits.words != nullptr ? bits.cols : codes.cols; }
  // The transform of the outputs from `first` on, without the matrix that it writes to.
  DotOutput TransformFrom(int64_t first) const {
    DotOutput out = {.scale = scale, .levels = levels, .level_stride = level_stride != 0 ? level_stride : cols()};
    if (scale.values != nullptr) out.scale.values += first * scale.stride;
    if (threshold != nullptr) out.threshold = threshold + first;
    if (flip != nullptr) out.flip = flip + first;
    return out;
  }
};

// S as the sum of 2^(p + q) popcount(a_p & b_q) over all pairs of planes, or of fewer popcounts with the same result.
using PlaneGemm = void(ExecContext& context, const ConstPlanesView& a, const ConstPlanesView& b, const DotOutput& out);

// S as a sum of products of bytes, four at a time, into int32 accumulators. The planes of b are expanded to bytes block
// by block, in the cache.
using Int8Gemm = void(ExecContext& context, const ConstCodesView& a, const ConstPlanesView& b, const DotOutput& out);

// c[i, j] = the stored c of the code that codes[i, j] holds as a float.   codes [m, n] float32, c [m, n] uint8.
// REQUIRES: the values are codes of the encoding, and it has at most 8 bits.
using PackCodes = void(ExecContext& context, const Encoding& encoding, ConstMatrixView<float> codes,
                       MatrixView<uint8_t> c);

// The inverse: codes[i, j] = the code of c[i, j], as a float.
using UnpackCodes = void(ExecContext& context, const Encoding& encoding, ConstMatrixView<uint8_t> c,
                         MatrixView<float> codes);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_CODED_GEMM_H_
