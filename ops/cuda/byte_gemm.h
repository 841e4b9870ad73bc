// The product of bytes (ops/kernels/coded_gemm.h) for kernels that make the rows of bytes themselves.

#ifndef BITGRAD_OPS_CUDA_BYTE_GEMM_H_
#define BITGRAD_OPS_CUDA_BYTE_GEMM_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/tensor_operand.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The same as Int8Gemm, but uses the codes in place, without a copy. REQUIRES: rows of codes are aligned to 16 bytes
// and padded with zeros to a multiple of 16 bytes; FitsBytes() of the operands, of which a logarithmic one on the left
// is stored by ByteEncoding() (byte_operand.h).
void ByteGemm(ExecContext& context, const Encoding& encoding, const TensorOperand& codes, const ConstPlanesView& b,
              const DotOutput& out);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_BYTE_GEMM_H_
