#include "runtime/linear_step.h"

#include "core/encoding.h"
#include "core/parallel_for.h"
#include "core/rng.h"
#include "ops/coded_product.h"
#include "ops/dot_kernel.h"
#include "runtime/kernel_choice.h"

namespace bitgrad {
namespace {

constexpr int64_t kMinChunk = 1 << 14;  // elements that are worth another thread

// The codes of a weight blob as floats, [out, in].
Tensor ExpandCodes(const PackedModel& model, int blob) {
  const packed::Blob& descriptor = model.blob(blob);
  const Encoding encoding = EncodingOf(descriptor);
  const int planes = PlaneCount(descriptor);
  Tensor weights(ShapeOf(descriptor), DType::kFloat32);
  const MatrixView<float> w = weights.mutable_matrix<float>();
  for (int64_t i = 0; i < w.rows; ++i) {
    for (int64_t j = 0; j < w.cols; ++j) {
      int64_t c = 0;
      for (int p = 0; p < planes; ++p) c |= int64_t{model.plane(blob, p).bit(i, j)} << p;
      w.at(i, j) = static_cast<float>(CodeOf(encoding, c));
    }
  }
  return weights;
}

}  // namespace

LinearStep::LinearStep(const PackedModel& model, int i, Frame& frame)
    : operand_(model.header().instructions(i).operands(0)),
      operand_is_bits_(model.value(operand_).is_bits),
      result_(i + 1),
      in_integers_(ChooseKernel(model, i).kernel != DotKernel::kFloatGemm),
      quantizer_(model.quantizer(i)) {
  const packed::Linear& linear = model.header().instructions(i).linear();
  const packed::Blob& weight = model.blob(linear.weight());
  const Shape shape = ShapeOf(weight);
  out_ = shape.dim(0);
  in_ = shape.dim(1);
  scale_ = linear.scale();
  if (in_integers_) {
    packed_weights_.encoding = EncodingOf(weight);
    for (int p = 0; p < PlaneCount(weight); ++p) packed_weights_.planes[p] = model.plane(linear.weight(), p);
    // What the kernel makes of the 256 pixels is what it would make of each in place.
    std::array<float, 256> codes;
    frame.kernels().quantize_codes(frame.context(), quantizer_,
                                   {frame.pixel_values().data(), 1, 256}, nullptr, RngStream{},
                                   {codes.data(), 1, 256});
    frame.kernels().pack_codes(frame.context(), quantizer_.encoding(), {codes.data(), 1, 256},
                               {pixel_codes_.data(), 1, 256});
    for (int p = 0; p < 256; ++p) pixels_are_codes_ &= pixel_codes_[p] == p;
  } else if (weight.kind() == packed::Blob::FLOAT32) {
    weight_terms_ = {model.floats(linear.weight()).data(), out_, in_};
  } else {
    weights_ = ExpandCodes(model, linear.weight());
    weight_terms_ = weights_.matrix<float>();
  }
  has_threshold_ = linear.has_threshold();
  if (has_threshold_) {
    thresholds_ = model.ints(linear.threshold().thresholds());
    const ConstBitMatrixView flips = model.plane(linear.threshold().flips(), 0);
    for (int64_t j = 0; j < out_; ++j) flips_.push_back(flips.bit(0, j) ? 1 : 0);
  }
}

void LinearStep::Run(Frame& frame) {
  if (in_integers_) {
    RunIntegers(frame);
  } else {
    RunFloats(frame);
  }
}

DotOutput LinearStep::Output(Frame& frame) {
  if (!has_threshold_) return {.floats = frame.NewFloats(result_), .scale = scale_};
  return {.bits = frame.NewBits(result_), .threshold = thresholds_.data(), .flip = flips_.data()};
}

void LinearStep::RunIntegers(Frame& frame) {
  const Kernels& kernels = frame.kernels();
  if (quantizer_.encoding().kind != EncodingKind::kBinary) {
    const ConstMatrixView<uint8_t> codes = InputCodes(frame);
    CodedProduct(frame.context(), {quantizer_.encoding(), codes}, packed_weights_, Output(frame));
    return;
  }
  const ConstBitMatrixView x = InputBits(frame);
  const DotOutput out = Output(frame);
  if (packed_weights_.encoding.kind != EncodingKind::kBinary) {
    kernels.plane_gemm(frame.context(), BinaryPlanes(x), packed_weights_, out);
  } else if (has_threshold_) {
    kernels.packed_gemm_threshold(frame.context(), x, packed_weights_.planes[0], out.threshold, out.flip, out.bits);
  } else {
    kernels.packed_gemm_f32(frame.context(), x, packed_weights_.planes[0], scale_, out.floats);
  }
}

// Without a threshold: those stand only behind exact sums, which are integers.
void LinearStep::RunFloats(Frame& frame) {
  const ConstMatrixView<float> x = InputTerms(frame);
  const MatrixView<float> y = frame.NewFloats(result_);
  frame.kernels().gemm_f32(frame.context(), false, true, 1.0f, x, weight_terms_, 0.0f, y);
  if (scale_ != 1.0f) frame.kernels().scale_f32(frame.context(), scale_, y.data, false, y.data, y.size());
}

ConstMatrixView<uint8_t> LinearStep::InputCodes(Frame& frame) {
  if (const ConstMatrixView<uint8_t> pixels = frame.pixels(operand_); pixels.data != nullptr) {
    if (pixels_are_codes_) return pixels;
    const MatrixView<uint8_t> codes(GrowBuffer<uint8_t>(codes_, pixels.size(), frame.context()),
                                    pixels.rows, pixels.cols);
    ParallelFor(frame.context().threads(), pixels.size(), kMinChunk, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) codes.data[i] = pixel_codes_[pixels.data[i]];
    });
    return codes;
  }
  const ConstMatrixView<float> terms = InputTerms(frame);
  const MatrixView<uint8_t> codes(GrowBuffer<uint8_t>(codes_, terms.size(), frame.context()), terms.rows,
                                  terms.cols);
  frame.kernels().pack_codes(frame.context(), quantizer_.encoding(), terms, codes);
  return codes;
}

ConstBitMatrixView LinearStep::InputBits(Frame& frame) {
  if (operand_is_bits_) return frame.bits(operand_);
  if (frame.pixels(operand_).data != nullptr) {
    const ConstMatrixView<uint8_t> codes = InputCodes(frame);
    const BitMatrixView bits = GrowBits(bits_, codes.rows, in_, frame.context());
    frame.kernels().pack_planes(frame.context(), codes, 1, &bits);
    return bits;
  }
  const ConstMatrixView<float> x = frame.floats(operand_);
  const BitMatrixView bits = GrowBits(bits_, x.rows, in_, frame.context());
  frame.kernels().quantize_bits(frame.context(), quantizer_, x, nullptr, RngStream{}, bits,
                                BitMatrixView{});
  return bits;
}

ConstMatrixView<float> LinearStep::InputTerms(Frame& frame) {
  if (operand_is_bits_) {
    const ConstBitMatrixView bits = frame.bits(operand_);
    const MatrixView<float> terms(GrowBuffer<float>(terms_, bits.rows * bits.cols, frame.context()),
                                  bits.rows, bits.cols);
    frame.kernels().unpack_signs(frame.context(), bits, terms);
    return terms;
  }
  const ConstMatrixView<float> x = frame.floats(operand_);
  if (quantizer_.is_identity()) return x;
  const MatrixView<float> terms(GrowBuffer<float>(terms_, x.size(), frame.context()), x.rows,
                                x.cols);
  frame.kernels().quantize_codes(frame.context(), quantizer_, x, nullptr, RngStream{}, terms);
  return terms;
}

}  // namespace bitgrad
