#include "runtime/quantized_input.h"

#include "core/encoding.h"
#include "core/parallel_for.h"
#include "core/rng.h"
#include "ops/kernels/coded_gemm.h"

namespace bitgrad {
namespace {

constexpr int64_t kMinChunk = 1 << 14;  // elements that are worth another thread

}  // namespace

QuantizedInput::QuantizedInput(const PackedModel& model, int i, int64_t cols, Frame& frame)
    : operand_(model.header().instructions(i).operands(0)),
      is_bits_(model.value(operand_).is_bits),
      cols_(cols),
      quantizer_(model.quantizer(i)) {
  const Encoding encoding = quantizer_.encoding();
  if (!encoding.is_integer() || encoding.bits > kMaxCodeBits) return;
  // What the kernel makes of the 256 pixels is what it would make of each in place.
  std::array<float, 256> codes;
  frame.kernels().quantize_codes(frame.context(), quantizer_, {frame.pixel_values().data(), 1, 256}, nullptr, RngStream{},
                                 {codes.data(), 1, 256});
  frame.kernels().pack_codes(frame.context(), encoding, {codes.data(), 1, 256}, {pixel_codes_.data(), 1, 256});
  for (int p = 0; p < 256; ++p) pixels_are_codes_ &= pixel_codes_[p] == p;
}

ConstMatrixView<float> QuantizedInput::Floats(Frame& frame) const {
  const ConstMatrixView<float> x = frame.floats(operand_);
  return {x.data, x.size() / cols_, cols_};
}

ConstMatrixView<uint8_t> QuantizedInput::Codes(Frame& frame) {
  if (const ConstMatrixView<uint8_t> pixels = frame.pixels(operand_); pixels.data != nullptr) {
    const int64_t rows = pixels.size() / cols_;
    if (pixels_are_codes_) return {pixels.data, rows, cols_};
    const MatrixView<uint8_t> codes(GrowBuffer<uint8_t>(codes_, pixels.size(), frame.context()), rows, cols_);
    ParallelFor(frame.context().threads(), pixels.size(), kMinChunk, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) codes.data[i] = pixel_codes_[pixels.data[i]];
    });
    return codes;
  }
  const ConstMatrixView<float> terms = Terms(frame);
  const MatrixView<uint8_t> codes(GrowBuffer<uint8_t>(codes_, terms.size(), frame.context()), terms.rows, terms.cols);
  frame.kernels().pack_codes(frame.context(), quantizer_.encoding(), terms, codes);
  return codes;
}

ConstBitMatrixView QuantizedInput::Bits(Frame& frame) {
  if (is_bits_) return frame.bits(operand_);
  if (frame.pixels(operand_).data != nullptr) {
    const ConstMatrixView<uint8_t> codes = Codes(frame);
    const BitMatrixView bits = GrowBits(bits_, codes.rows, cols_, frame.context());
    frame.kernels().pack_planes(frame.context(), codes, 1, &bits);
    return bits;
  }
  const ConstMatrixView<float> x = Floats(frame);
  const BitMatrixView bits = GrowBits(bits_, x.rows, cols_, frame.context());
  frame.kernels().quantize_bits(frame.context(), quantizer_, x, nullptr, RngStream{}, bits, BitMatrixView{});
  return bits;
}

ConstMatrixView<float> QuantizedInput::Terms(Frame& frame) {
  if (is_bits_) {
    const ConstBitMatrixView bits = frame.bits(operand_);
    const MatrixView<float> terms(GrowBuffer<float>(terms_, bits.rows * bits.cols, frame.context()), bits.rows, bits.cols);
    frame.kernels().unpack_signs(frame.context(), bits, terms);
    return terms;
  }
  const ConstMatrixView<float> x = Floats(frame);
  if (quantizer_.is_identity()) return x;
  const MatrixView<float> terms(GrowBuffer<float>(terms_, x.size(), frame.context()), x.rows, x.cols);
  frame.kernels().quantize_codes(frame.context(), quantizer_, x, nullptr, RngStream{}, terms);
  return terms;
}

}  // namespace bitgrad
