// Convolution of codes with few bits: patches are gathered as rows of bytes (gather_patches.h) and multiplied by the
// product of bytes.

#include <cstdint>
#include <cstdlib>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/byte_gemm.h"
#include "bitgrad/ops/cuda/byte_operand.h"
#include "bitgrad/ops/cuda/conv_dots.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/direct_conv2d.h"
#include "bitgrad/ops/cuda/direct_dots.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/gather_patches.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

void CodedConv2d(ExecContext& context, const ConvGeometry& geometry, const ConstCodesView& x, const ConstPlanesView& w,
                 int32_t padding_code, const DotOutput& out) {
  const ConvGeometry& g = geometry;
  BITGRAD_DCHECK(x.codes.rows == g.batch && x.codes.cols == g.height * g.width * g.channels);
  BITGRAD_DCHECK(w.rows() == g.filters && w.cols() == g.patch_size());
  BITGRAD_DCHECK(CodedConv2dIsExact(x.encoding, w.encoding, g.patch_size(), out));
  BITGRAD_DCHECK(std::abs(padding_code) <= x.encoding.max_code());
  if (ConvolvesDirectly(g) || !FitsBytes(x.encoding, w.encoding, g.patch_size())) {
    return DirectCodeDots(context, g, x, w, padding_code, out);
  }
  // Logarithmic images are turned into bytes of their codes first.
  const Encoding encoding = ByteEncoding(x.encoding);
  const Scratch<uint8_t> image_bytes(context, x.encoding.is_log() ? g.batch * ByteRowBytes(x.codes.cols) : 0);
  ConstMatrixView<uint8_t> images = x.codes;
  if (x.encoding.is_log()) {
    CopyToBytes(context, x, image_bytes.data());
    images = {image_bytes.data(), g.batch, x.codes.cols, ByteRowBytes(x.codes.cols)};
  }
  const int32_t border_code = StoredBorderCode(encoding, padding_code);
  const int32_t missing = padding_code - static_cast<int32_t>(encoding.code(border_code));
  const int64_t stride = ByteRowBytes(g.patch_size());
  ConvolveChunks(context, "coded_conv2d", g, w, missing, /*product_corrects=*/false, stride, out,
                 [&](const PixelChunk& chunk, int64_t group, const BorderTerms&, const DotOutput& sums) {
                   const Scratch<uint8_t> scratch(context, chunk.rows * stride);
                   const MatrixView<uint8_t> patches = {scratch.data(), chunk.rows, g.patch_size(), stride};
                   GatherPatches(context, "coded_conv2d", g, chunk, group, images, static_cast<uint8_t>(border_code),
                                 patches);
                   ConstPlanesView filters = {w.encoding, {}};
                   for (int q = 0; q < w.encoding.bits; ++q) filters.planes[q] = GroupFilters(g, w.planes[q], group);
                   // GatherPatches() has padded the rows with zeros, as ByteGemm() requires.
                   ByteGemm(context, encoding, ByteOperand(scratch.data(), chunk.rows, g.patch_size()), filters, sums);
                 });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
