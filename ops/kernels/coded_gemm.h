// Matrix products of few-bit codes. They take operands as core/encoding.h stores them, unsigned integers c of up to 8
// bits with code = least + step * c, and give
//
//   dot(i, j) = sum_k code_a[i, k] code_b[j, k]
//             = step_a step_b S + step_a least_b sum_k c_a + least_a step_b sum_k c_b + least_a least_b K
//
// from S = sum_k c_a c_b: sums of popcounts over bit planes, or of products of bytes. Both kernels are exact, so they
// agree to the last bit with each other and with any other exact way; ops/dot_kernel.h chooses.
//
// Both operands are row-major with K contiguous (activations [batch, in], weights [out, in]).
// REQUIRES: DotIsExact(a.encoding, b.encoding, K); padding bits are zero. Any m, n, K, zero included.

#ifndef BITGRAD_OPS_KERNELS_CODED_GEMM_H_
#define BITGRAD_OPS_KERNELS_CODED_GEMM_H_

#include <array>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"

namespace bitgrad {

inline constexpr int kMaxCodeBits = 8;

// Codes as bit planes: plane b holds bit b of c. encoding.bits planes are set, of the same extents and stride.
struct ConstPlanesView {
  Encoding encoding;
  std::array<ConstBitMatrixView, kMaxCodeBits> planes = {};

  int64_t rows() const { return planes[0].rows; }
  int64_t cols() const { return planes[0].cols; }
};

// Codes as bytes c.
struct ConstCodesView {
  Encoding encoding;
  ConstMatrixView<uint8_t> codes;
};

// What becomes of the dot products. Exactly one of `floats` and `bits` is set; both are [m, n].
struct DotOutput {
  // floats[i, j] = float(dot(i, j)) * scale
  MatrixView<float> floats = {};
  float scale = 1.0f;
  // Bit j of row i: (dot(i, j) >= threshold[j]) != flip[j].   threshold [n] int32, flip [n] uint8 (0, 1)
  BitMatrixView bits = {};
  const int32_t* threshold = nullptr;
  const uint8_t* flip = nullptr;
};

// S = sum over pairs of planes of 2^(p + q) popcount(a_p & b_q), or fewer counts to the same end.
using PlaneGemm = void(ExecContext& context, const ConstPlanesView& a, const ConstPlanesView& b, const DotOutput& out);

// S from products of bytes, four at a time into int32. The planes of b become bytes block by block in the cache.
using Int8Gemm = void(ExecContext& context, const ConstCodesView& a, const ConstPlanesView& b, const DotOutput& out);

// c[i, j] of codes[i, j] given as a float.   codes [m, n] float32, c [m, n] uint8.
// REQUIRES: the values are codes of the encoding, of at most 8 bits.
using PackCodes = void(ExecContext& context, const Encoding& encoding, ConstMatrixView<float> codes,
                       MatrixView<uint8_t> c);

// The inverse: codes[i, j] = the code of c[i, j], as a float.
using UnpackCodes = void(ExecContext& context, const Encoding& encoding, ConstMatrixView<uint8_t> c,
                         MatrixView<float> codes);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_CODED_GEMM_H_
