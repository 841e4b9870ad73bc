// Which kernel computes the sums of a linear instruction. Decided by the encodings of its operands
// alone, so `inspect` prints what `predict` runs.
//
//   input      weights    kernel
//   binary     binary     packed XNOR-popcount
//   symmetric  binary     k bit planes: packed XNOR-popcount of each plane of the input, shifted
//   and added integer    integer    float GEMM on the integer codes, as long as the sums are exact
//   there otherwise             float GEMM
//
// In the first three the sums are exact integers, so they are the graph's, whatever kernel that
// used.

#ifndef BITGRAD_RUNTIME_KERNEL_CHOICE_H_
#define BITGRAD_RUNTIME_KERNEL_CHOICE_H_

#include <string>

#include "core/encoding.h"
#include "runtime/packed_model.h"

namespace bitgrad {

enum class LinearKernel { kPackedBits, kBitPlanes, kGemmOnCodes, kFloatGemm };

struct KernelChoice {
  LinearKernel kernel;
  std::string description;  // for people; names the reason where the choice is the slow one
};

// Encoding of what linear instruction `i` multiplies its weights with.
Encoding InputEncoding(const PackedModel& model, int i);

// REQUIRES: instruction `i` is linear.
KernelChoice ChooseKernel(const PackedModel& model, int i);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_KERNEL_CHOICE_H_
