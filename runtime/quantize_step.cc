#include "bitgrad/runtime/quantize_step.h"

#include "bitgrad/core/encoding.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad {

QuantizeStep::QuantizeStep(const PackedModel& model, int i, Frame& frame)
    : operand_(model.header().instructions(i).operands(0)),
      result_(i + 1),
      quantizer_(model.quantizer(i), frame.context()) {
  ExecContext& context = frame.context();
  const Encoding encoding = quantizer_.packed().encoding();
  if (!encoding.is_integer()) return;
  // Quantizing the 256 possible pixels once gives the codes that quantizing each pixel of an image would give.
  Tensor codes({1, 256}, DType::kFloat32, context.allocator());
  pixel_codes_ = Tensor({1, 256}, DType::kUint8, context.allocator());
  quantizer_.Codes(context, frame.pixel_values(), codes.mutable_matrix<float>());
  frame.kernels().pack_codes(context, encoding, codes.matrix<float>(), pixel_codes_.mutable_matrix<uint8_t>());
  const Tensor on_host = ToHost(context, pixel_codes_);
  pixels_are_codes_ = true;
  for (int p = 0; p < 256; ++p) pixels_are_codes_ &= on_host.data<uint8_t>()[p] == p;
}

void QuantizeStep::Run(Frame& frame) {
  if (quantizer_.packed().quantizer.is_identity()) return frame.Alias(result_, operand_);
  if (!quantizer_.packed().encoding().is_integer()) {
    return quantizer_.Values(frame.context(), frame.floats(operand_), frame.NewFloats(result_));
  }
  const ConstMatrixView<uint8_t> pixels = frame.pixels(operand_);
  if (pixels.data != nullptr && pixels_are_codes_) return frame.SetCodes(result_, pixels.data);
  frame.SetSource(result_, this);
}

ConstMatrixView<float> QuantizeStep::Floats(Frame& frame, int64_t cols) const {
  const ConstMatrixView<float> x = frame.floats(operand_);
  return {x.data, x.size() / cols, cols};
}

void QuantizeStep::MakeCodes(Frame& frame, MatrixView<uint8_t> codes) {
  if (const ConstMatrixView<uint8_t> pixels = frame.pixels(operand_); pixels.data != nullptr) {
    frame.kernels().look_up_u8(frame.context(), pixel_codes_.data<uint8_t>(), pixels.data, codes.data, codes.size());
    return;
  }
  const MatrixView<float> terms(GrowBuffer<float>(terms_, codes.size(), frame.context()), codes.rows, codes.cols);
  MakeTerms(frame, terms);
  frame.kernels().pack_codes(frame.context(), quantizer_.packed().encoding(), terms, codes);
}

void QuantizeStep::MakeBits(Frame& frame, BitMatrixView bits) {
  if (frame.pixels(operand_).data != nullptr) {
    const MatrixView<uint8_t> codes(GrowBuffer<uint8_t>(codes_, bits.rows * bits.cols, frame.context()), bits.rows,
                                    bits.cols);
    MakeCodes(frame, codes);
    frame.kernels().pack_planes(frame.context(), codes, 1, &bits);
    return;
  }
  quantizer_.Bits(frame.context(), Floats(frame, bits.cols), bits);
}

void QuantizeStep::MakeTerms(Frame& frame, MatrixView<float> terms) {
  quantizer_.Codes(frame.context(), Floats(frame, terms.cols), terms);
}

}  // namespace bitgrad
