#include "bitgrad/ops/cuda/byte_operand.h"

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// (Not in an anonymous namespace or a function: types there cannot be captured by a lambda for the device.)
struct PlaneWords {
  const uint64_t* words[kMaxCodeBits];
};

void CopyToBytes(ExecContext& context, ConstMatrixView<uint8_t> codes, uint8_t* bytes) {
  const int64_t stride = ByteRowBytes(codes.cols);
  ForCells(context, "copy_to_bytes", codes.rows, stride, [=] __device__(int64_t i, int64_t j) {
    bytes[i * stride + j] = j < codes.cols ? codes.at(i, j) : uint8_t{0};
  });
}

void ExpandPlanes(ExecContext& context, const ConstPlanesView& x, uint8_t* bytes) {
  PlaneWords planes = {};
  const int count = x.encoding.bits;
  for (int p = 0; p < count; ++p) planes.words[p] = x.planes[p].words;
  const int64_t words_of_row = x.planes[0].stride;
  const int64_t stride = ByteRowBytes(x.cols());
  // Four codes at once: neighbours in a word of each plane. Behind the last code the planes are zero.
  ForCells(context, "expand_planes", x.rows(), stride / 4, [=] __device__(int64_t i, int64_t quad) {
    uint32_t codes = 0;
    for (int p = 0; p < count; ++p) {
      const auto bits = static_cast<uint32_t>(planes.words[p][i * words_of_row + quad / 16] >> quad % 16 * 4) & 0xf;
      // Bit b to byte b: no two of the shifted copies meet in a lowest bit of a byte.
      codes |= (bits * 0x00204081u & 0x01010101u) << p;
    }
    reinterpret_cast<uint32_t*>(bytes)[i * (stride / 4) + quad] = codes;
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
