// Which kernel computes the dot products of a linear layer. The one place that knows: the op asks it in the graph, the
// runtime asks it for packed models, and `inspect` prints what it says.
//
//   inputs     weights    kernel
//   binary     binary     packed XNOR-popcount
//   integer    integer    bit planes or, from some batch size on, int8 GEMM, by the table in dot_kernel.cc
//   otherwise, or where a sum may exceed 2^24: float GEMM
//
// In the first two the sums are exact integers, so the answers do not depend on the choice.

#ifndef BITGRAD_OPS_DOT_KERNEL_H_
#define BITGRAD_OPS_DOT_KERNEL_H_

#include <cstdint>
#include <string>

#include "bitgrad/core/encoding.h"

namespace bitgrad {

enum class DotKernel { kXnorPopcount, kBitPlanes, kInt8, kFloatGemm };

// For x [rows, k] and w [n, k] of these encodings. counts_words: CountsWords(device) of ops/dispatch.h.
DotKernel ChooseDotKernel(const Encoding& x, const Encoding& w, int64_t k, int64_t rows, bool counts_words);

// For people: the choice for every batch size, and why where it is the slow one:
// "8 x 1 bit planes (rows < 16), int8 GEMM", "float GEMM (float weights)".
std::string DescribeDotKernel(const Encoding& x, const Encoding& w, int64_t k, bool counts_words);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_DOT_KERNEL_H_
