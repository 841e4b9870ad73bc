#include "runtime/kernel_choice.h"

#include "absl/strings/str_cat.h"

namespace bitgrad {

Encoding InputEncoding(const PackedModel& model, int i) { return model.quantizer(i).encoding(); }

KernelChoice ChooseKernel(const PackedModel& model, int i) {
  const packed::Blob& weight = model.blob(model.header().instructions(i).linear().weight());
  const Encoding x = InputEncoding(model, i);
  const Encoding w = EncodingOf(weight);
  const int64_t in = ShapeOf(weight).cols();
  if (!x.is_integer()) return {LinearKernel::kFloatGemm, "float GEMM (float input)"};
  if (!w.is_integer()) return {LinearKernel::kFloatGemm, "float GEMM (float weights)"};
  if (!DotIsExact(x, w, in)) {
    return {LinearKernel::kFloatGemm, "float GEMM (sums may exceed 2^24)"};
  }
  if (w.kind == EncodingKind::kBinary) {
    if (x.kind == EncodingKind::kBinary) {
      return {LinearKernel::kPackedBits, "packed XNOR-popcount"};
    }
    if (x.kind == EncodingKind::kSymmetric) {
      return {LinearKernel::kBitPlanes,
              absl::StrCat("packed XNOR-popcount on ", x.bits, " bit planes")};
    }
  }
  return {LinearKernel::kGemmOnCodes, "float GEMM on integer codes"};
}

}  // namespace bitgrad
