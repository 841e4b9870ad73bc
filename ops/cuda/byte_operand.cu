#include "bitgrad/ops/cuda/byte_operand.h"

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/plane_codes.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Not in an anonymous namespace or a function, because device lambdas cannot capture types from there.
struct PlaneWords {
  const uint64_t* words[kMaxCodeBits];
};

void CopyToBytes(ExecContext& context, const ConstCodesView& x, uint8_t* bytes) {
  const ConstMatrixView<uint8_t> codes = x.codes;
  const int64_t stride = ByteRowBytes(codes.cols);
  if (x.encoding.is_log()) {
    const DecodedCodes decoded(x.encoding);
    return ForCells(context, "copy_to_bytes", codes.rows, stride, [=] __device__(int64_t i, int64_t j) {
      const int32_t code = j < codes.cols ? decoded.Of<int32_t>(codes.at(i, j)) + 128 : 0;
      bytes[i * stride + j] = static_cast<uint8_t>(code);
    });
  }
  ForCells(context, "copy_to_bytes", codes.rows, stride, [=] __device__(int64_t i, int64_t j) {
    bytes[i * stride + j] = j < codes.cols ? codes.at(i, j) : uint8_t{0};
  });
}

void ExpandPlanes(ExecContext& context, const ConstPlanesView& x, uint8_t* bytes) {
  PlaneWords planes = {};
  const int count = x.encoding.bits;
  for (int p = 0; p < count; ++p) planes.words[p] = x.planes[p].words;
  const int64_t words_of_row = x.planes[0].stride;
  const int64_t stride = ByteRowBytes(x.cols()), cols = x.cols();
  const DecodedCodes decoded(x.encoding);
  // Four codes at once: their bits are adjacent in one word of each plane. The padding of the planes gives zeros.
  ForCells(context, "expand_planes", x.rows(), stride / 4, [=] __device__(int64_t i, int64_t quad) {
    uint32_t codes = 0;
    for (int p = 0; p < count; ++p) {
      const auto bits = static_cast<uint32_t>(planes.words[p][i * words_of_row + quad / 16] >> quad % 16 * 4) & 0xf;
      // Moves bit b to byte b: the multiplication adds shifted copies, of which no two have a bit at the lowest
      // position of the same byte.
      codes |= (bits * 0x00204081u & 0x01010101u) << p;
    }
    if (decoded.is_log) {
      const uint32_t stored = codes;
      codes = 0;
      for (int k = 0; k < 4 && quad * 4 + k < cols; ++k) {
        const auto code = decoded.Of<int32_t>(static_cast<int32_t>(stored >> 8 * k & 0xff));
        codes |= static_cast<uint32_t>(code + 128) << 8 * k;
      }
    }
    reinterpret_cast<uint32_t*>(bytes)[i * (stride / 4) + quad] = codes;
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
