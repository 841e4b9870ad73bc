// The product of bytes (ops/kernels/coded_gemm.h) for whoever has made its rows of bytes itself.

#ifndef BITGRAD_OPS_CUDA_BYTE_GEMM_H_
#define BITGRAD_OPS_CUDA_BYTE_GEMM_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/tensor_operand.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// As Int8Gemm, of codes that lie on 16 bytes and whose rows end in zeros up to a whole 16 bytes: they are used as they
// lie.
void ByteGemm(ExecContext& context, const Encoding& encoding, const TensorOperand& codes, const ConstPlanesView& b,
              const DotOutput& out);

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_BYTE_GEMM_H_
