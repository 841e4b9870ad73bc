#include "bitgrad/ops/coded_product.h"

#include "bitgrad/core/check.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/ops/dot_kernel.h"

namespace bitgrad {

CodePlanes::CodePlanes(ExecContext& context, const ConstCodesView& c) {
  view_.encoding = c.encoding;
  BitMatrixView views[kMaxCodeBits];
  for (int p = 0; p < c.encoding.bits; ++p) {
    planes_[p] = BitMatrix(c.codes.rows, c.codes.cols, context.allocator());
    views[p] = planes_[p].mutable_view();
    view_.planes[p] = views[p];
  }
  KernelsFor(context.device()).pack_planes(context, c.codes, c.encoding.bits, views);
}

void CodedProduct(ExecContext& context, const ConstCodesView& x, const ConstPlanesView& w, const DotOutput& out) {
  const Kernels& kernels = KernelsFor(context.device());
  const DotKernel kernel =
      ChooseDotKernel(x.encoding, w.encoding, w.cols(), x.codes.rows, CountsWords(context.device()));
  BITGRAD_DCHECK(kernel == DotKernel::kBitPlanes || kernel == DotKernel::kInt8);
  if (kernel == DotKernel::kInt8) {
    kernels.int8_gemm(context, x, w, out);
  } else {
    kernels.plane_gemm(context, CodePlanes(context, x).view(), w, out);
  }
}

}  // namespace bitgrad
