// Which kernel computes the dot products of a linear layer. This is the only place that decides it: the op asks it in
// the graph, the runtime asks it for packed models, and `inspect` prints its answer.
//
//   inputs     weights    kernel
//   binary     binary     packed XNOR-popcount
//   integer    integer    bit planes or, from some batch size on, int8 GEMM, by the table in dot_kernel.cc
//
// Where one of them is logarithmic, it is the int8 GEMM, in 32 or 64 bits (LogSumsOf in ops/kernels/coded_gemm.h). In
// all other cases, and where a sum may exceed 2^24 (with log codes: may overflow), it is the float GEMM.
//
// In all but the last case the sums are exact integers, so the answer does not depend on the choice.

#ifndef BITGRAD_OPS_DOT_KERNEL_H_
#define BITGRAD_OPS_DOT_KERNEL_H_

#include <cstdint>
#include <string>

#include "bitgrad/core/encoding.h"

namespace bitgrad {

enum class DotKernel { kXnorPopcount, kBitPlanes, kInt8, kFloatGemm };

// For x [rows, k] and w [n, k] of these encodings. counts_words: CountsWords(device) of ops/dispatch.h.
DotKernel ChooseDotKernel(const Encoding& x, const Encoding& w, int64_t k, int64_t rows, bool counts_words);

// The choice for every batch size in words, with the reason where it is the float GEMM:
// "8 x 1 bit planes (rows < 16), int8 GEMM", "int8 GEMM of 8 bit x 4 bit log (1 byte), int32", "float GEMM (float
// weights)".
std::string DescribeDotKernel(const Encoding& x, const Encoding& w, int64_t k, bool counts_words);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_DOT_KERNEL_H_
