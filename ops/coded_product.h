// The product of two operands of integer codes, by the kernel that ops/dot_kernel.h chooses. The linear op and the
// runtime share it.

#ifndef BITGRAD_OPS_CODED_PRODUCT_H_
#define BITGRAD_OPS_CODED_PRODUCT_H_

#include <array>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad {

// Codes packed into bit planes. Owns the planes.
class CodePlanes {
 public:
  // Packs c [rows, cols].
  CodePlanes(ExecContext& context, const ConstCodesView& c);
  const ConstPlanesView& view() const { return view_; }

 private:
  std::array<BitMatrix, kMaxCodeBits> planes_;
  ConstPlanesView view_;
};

// A matrix of bits seen as the one plane of binary codes.
inline ConstPlanesView BinaryPlanes(ConstBitMatrixView bits) {
  return {.encoding = {EncodingKind::kBinary, 1}, .planes = {bits}};
}

// x [m, K], w [n, K] -> out [m, n]. REQUIRES: ChooseDotKernel gives kBitPlanes or kInt8 for them.
void CodedProduct(ExecContext& context, const ConstCodesView& x, const ConstPlanesView& w, const DotOutput& out);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CODED_PRODUCT_H_
