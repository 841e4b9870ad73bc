#include "bitgrad/runtime/quantized_input.h"

#include "bitgrad/core/encoding.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad {

QuantizedInput::QuantizedInput(const PackedModel& model, int i, int64_t cols, Frame& frame)
    : operand_(model.header().instructions(i).operands(0)),
      is_bits_(model.value(operand_).is_bits),
      cols_(cols),
      quantizer_(model.quantizer(i)) {
  const Encoding encoding = quantizer_.encoding();
  if (!encoding.is_integer() || encoding.bits > kMaxCodeBits) return;
  // Quantizing the 256 possible pixels once gives the codes that quantizing each pixel of an image would give.
  ExecContext& context = frame.context();
  Tensor codes({1, 256}, DType::kFloat32, context.allocator());
  pixel_codes_ = Tensor({1, 256}, DType::kUint8, context.allocator());
  frame.kernels().quantize_codes(context, quantizer_, frame.pixel_values(), nullptr, RngStream{},
                                 codes.mutable_matrix<float>());
  frame.kernels().pack_codes(context, encoding, codes.matrix<float>(), pixel_codes_.mutable_matrix<uint8_t>());
  const Tensor on_host = ToHost(context, pixel_codes_);
  pixels_are_codes_ = true;
  for (int p = 0; p < 256; ++p) pixels_are_codes_ &= on_host.data<uint8_t>()[p] == p;
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
    frame.kernels().look_up_u8(frame.context(), pixel_codes_.data<uint8_t>(), pixels.data, codes.data, pixels.size());
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
    const MatrixView<float> terms(GrowBuffer<float>(terms_, bits.rows * bits.cols, frame.context()), bits.rows,
                                  bits.cols);
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
