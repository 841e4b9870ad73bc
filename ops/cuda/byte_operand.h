// Byte operands of the tensor-core GEMM (tensor_gemm.h), from bytes and from bit planes: their rows are aligned to 16
// bytes and padded with zeros.

#ifndef BITGRAD_OPS_CUDA_BYTE_OPERAND_H_
#define BITGRAD_OPS_CUDA_BYTE_OPERAND_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

constexpr int64_t ByteRowBytes(int64_t cols) { return (cols + 15) / 16 * 16; }

// bytes [rows, ByteRowBytes(cols)] = the codes, followed by zeros in each row.
void CopyToBytes(ExecContext& context, ConstMatrixView<uint8_t> codes, uint8_t* bytes);

// How codes are stored in bytes: as their planes say but for logarithmic ones, which are stored in two's complement.
inline Encoding ByteEncoding(const Encoding& planes) {
  return planes.is_affine() ? planes : Encoding{EncodingKind::kTwosComplement, kMaxCodeBits};
}

// Whether the codes of a product's b fit in bytes, and its sums in what the product of bytes is made for.
inline bool FitsBytes(const Encoding& a, const Encoding& b, int64_t k) {
  return b.is_affine() || (LogDigits(b) == 1 && DotIsExact(a, b, k));
}

// bytes [rows, ByteRowBytes(cols)] = the codes whose bits the planes hold, stored by ByteEncoding(), followed by zeros
// in each row. REQUIRES: they fit.
void ExpandPlanes(ExecContext& context, const ConstPlanesView& x, uint8_t* bytes);

inline TensorOperand ByteOperand(const uint8_t* bytes, int64_t rows, int64_t cols) {
  return {.planes = {bytes}, .stride = ByteRowBytes(cols), .rows = rows};
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_BYTE_OPERAND_H_
