// The C functions that an exported net is made of, as text. Only those that a net uses are written to its source.
//
// In the text names begin with net_ and NET_, which the exporter replaces by the net's name. A kernel is one function
// (or type) and is written behind those that it needs.

#ifndef BITGRAD_EXPORT_C_CODE_C_KERNELS_H_
#define BITGRAD_EXPORT_C_CODE_C_KERNELS_H_

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace bitgrad {

struct CKernel {
  std::string name;
  std::vector<std::string> needs;  // kernels before it in the list
  std::string text;
};

// In an order in which each stands behind what it needs. One list for each idea:
std::vector<CKernel> BitKernels();      // popcounts and runs of bits
std::vector<CKernel> PatchKernels();    // what a window of a convolution sees
std::vector<CKernel> ProductKernels();  // sums of products
std::vector<CKernel> OutputKernels();   // what becomes of integer sums
std::vector<CKernel> PoolKernels();     // max and average pooling
std::vector<CKernel> CodeKernels();     // codes from one form to another, and fixed-point codes
std::vector<CKernel> FloatKernels();    // elementwise functions of floats

// The text of these kernels and of all that they need, one behind the other. REQUIRES: all names are kernels'.
std::string TextOfKernels(const std::set<std::string>& names);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_C_KERNELS_H_
