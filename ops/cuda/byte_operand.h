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

// How codes are stored in bytes: as they are but for logarithmic ones, which are stored in two's complement.
inline Encoding ByteEncoding(const Encoding& encoding) {
  return encoding.is_affine() ? encoding : Encoding{EncodingKind::kTwosComplement, kMaxCodeBits};
}

// Whether the codes of a product fit in bytes, and its sums in what the product of bytes is made for. Those of bytes
// that stand for logarithmic codes may be much larger than those of the codes.
inline bool FitsBytes(const Encoding& a, const Encoding& b, int64_t k) {
  constexpr int64_t kLongestOfBytes = int64_t{1} << 15;
  const auto fits = [](const Encoding& encoding) { return encoding.is_affine() || SignedDigits(encoding) == 1; };
  return fits(a) && fits(b) && DotIsExact(a, b, k) && (a.is_affine() || k <= kLongestOfBytes);
}

// bytes [rows, ByteRowBytes(cols)] = the codes, stored by ByteEncoding(), followed by zeros in each row. REQUIRES: they
// fit.
void CopyToBytes(ExecContext& context, const ConstCodesView& x, uint8_t* bytes);

// The same of codes whose bits the planes hold.
void ExpandPlanes(ExecContext& context, const ConstPlanesView& x, uint8_t* bytes);

inline TensorOperand ByteOperand(const uint8_t* bytes, int64_t rows, int64_t cols) {
  return {.planes = {bytes}, .stride = ByteRowBytes(cols), .rows = rows};
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_BYTE_OPERAND_H_
