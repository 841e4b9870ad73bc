// The float product that the papers on binary nets compare with: one thread per cell, without tiles. It is a baseline
// of benchmarks, and the emulator has it instead of cuBLASLt.

#ifndef BITGRAD_OPS_CUDA_NAIVE_GEMM_H_
#define BITGRAD_OPS_CUDA_NAIVE_GEMM_H_

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/kernels/gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

bitgrad::GemmF32 NaiveGemmF32;

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_NAIVE_GEMM_H_
