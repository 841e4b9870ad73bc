// The float product that binary nets' papers compare with: one thread per cell, no tiles. The baseline of benchmarks,
// and what the emulator has instead of cuBLASLt.

#ifndef BITGRAD_OPS_CUDA_NAIVE_GEMM_H_
#define BITGRAD_OPS_CUDA_NAIVE_GEMM_H_

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

bitgrad::GemmF32 NaiveGemmF32;

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_NAIVE_GEMM_H_
