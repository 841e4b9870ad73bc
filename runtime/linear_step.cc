#include "runtime/linear_step.h"

#include "core/encoding.h"
#include "core/parallel_for.h"
#include "core/rng.h"

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

// f(i) for i < count, on several threads where that pays.
template <typename F>
void ForEach(Frame& frame, int64_t count, const F& f) {
  ParallelFor(frame.context().threads(), count, kMinChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

}  // namespace

LinearStep::LinearStep(const PackedModel& model, int i, Frame& frame)
    : operand_(model.header().instructions(i).operands(0)),
      operand_is_bits_(model.value(operand_).is_bits),
      result_(i + 1),
      kernel_(ChooseKernel(model, i).kernel),
      quantizer_(model.quantizer(i)) {
  const packed::Linear& linear = model.header().instructions(i).linear();
  const Shape shape = ShapeOf(model.blob(linear.weight()));
  out_ = shape.dim(0);
  in_ = shape.dim(1);
  scale_ = linear.scale();
  if (kernel_ == LinearKernel::kPackedBits || kernel_ == LinearKernel::kBitPlanes) {
    packed_weights_ = model.plane(linear.weight(), 0);
    planes_.resize(static_cast<size_t>(quantizer_.encoding().bits));
    // What the kernel makes of the 256 pixels is what it would make of each in place.
    std::array<float, 256> codes;
    frame.kernels().quantize_codes(frame.context(), quantizer_,
                                   {frame.pixel_values().data(), 1, 256}, nullptr, RngStream{},
                                   {codes.data(), 1, 256});
    for (int p = 0; p < 256; ++p) {
      pixel_codes_[p] =
          static_cast<uint8_t>(PlaneBitsOf(quantizer_.encoding(), static_cast<int64_t>(codes[p])));
    }
  } else if (model.blob(linear.weight()).kind() == packed::Blob::FLOAT32) {
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
  switch (kernel_) {
    case LinearKernel::kPackedBits:
      return RunPackedBits(frame);
    case LinearKernel::kBitPlanes:
      return RunBitPlanes(frame);
    case LinearKernel::kGemmOnCodes:
    case LinearKernel::kFloatGemm:
      return RunGemm(frame);
  }
}

void LinearStep::RunPackedBits(Frame& frame) {
  const ConstBitMatrixView x = InputBits(frame);
  if (has_threshold_) {
    frame.kernels().packed_gemm_threshold(frame.context(), x, packed_weights_, thresholds_.data(),
                                          flips_.data(), frame.NewBits(result_));
  } else {
    frame.kernels().packed_gemm_f32(frame.context(), x, packed_weights_, scale_,
                                    frame.NewFloats(result_));
  }
}

// With symmetric codes 2c - (2^k - 1) = sum_b 2^b (2 c_b - 1) each plane c_b is a +-1 matrix.
void LinearStep::RunBitPlanes(Frame& frame) {
  const int64_t rows = InputPlanes(frame);
  const MatrixView<int32_t> sums(GrowBuffer<int32_t>(sums_, rows * out_, frame.context()), rows,
                                 out_);
  for (size_t b = 0; b < planes_.size(); ++b) {
    ConstBitMatrixView plane = planes_[b].view();
    plane.rows = rows;
    frame.kernels().packed_gemm_i32(frame.context(), plane, packed_weights_, static_cast<int>(b),
                                    /*accumulate=*/b > 0, sums);
  }
  Finish(frame, sums);
}

void LinearStep::RunGemm(Frame& frame) {
  const ConstMatrixView<float> x = InputTerms(frame);
  const int64_t count = x.rows * out_;
  const MatrixView<float> y =
      has_threshold_
          ? MatrixView<float>(GrowBuffer<float>(products_, count, frame.context()), x.rows, out_)
          : frame.NewFloats(result_);
  frame.kernels().gemm_f32(frame.context(), false, true, 1.0f, x, weight_terms_, 0.0f, y);
  if (has_threshold_) {
    // Thresholds stand only behind exact sums: nothing is lost on the way to int32.
    const MatrixView<int32_t> sums(GrowBuffer<int32_t>(sums_, count, frame.context()), x.rows,
                                   out_);
    ForEach(frame, count, [&](int64_t i) { sums.data[i] = static_cast<int32_t>(y.data[i]); });
    Finish(frame, sums);
  } else if (scale_ != 1.0f) {
    frame.kernels().scale_f32(frame.context(), scale_, y.data, false, y.data, count);
  }
}

void LinearStep::Finish(Frame& frame, ConstMatrixView<int32_t> sums) {
  if (has_threshold_) {
    frame.kernels().threshold_to_bits(frame.context(), sums, thresholds_.data(), flips_.data(),
                                      frame.NewBits(result_));
    return;
  }
  const MatrixView<float> y = frame.NewFloats(result_);
  ForEach(frame, sums.size(),
          [&](int64_t i) { y.data[i] = static_cast<float>(sums.data[i]) * scale_; });
}

ConstMatrixView<uint8_t> LinearStep::PlaneCodes(Frame& frame) {
  if (const ConstMatrixView<uint8_t> pixels = frame.pixels(operand_); pixels.data != nullptr) {
    const MatrixView<uint8_t> codes(GrowBuffer<uint8_t>(codes_, pixels.size(), frame.context()),
                                    pixels.rows, pixels.cols);
    ForEach(frame, pixels.size(), [&](int64_t i) { codes.data[i] = pixel_codes_[pixels.data[i]]; });
    return codes;
  }
  const ConstMatrixView<float> x = frame.floats(operand_);
  const MatrixView<float> terms(GrowBuffer<float>(terms_, x.size(), frame.context()), x.rows,
                                x.cols);
  frame.kernels().quantize_codes(frame.context(), quantizer_, x, nullptr, RngStream{}, terms);
  const MatrixView<uint8_t> codes(GrowBuffer<uint8_t>(codes_, x.size(), frame.context()), x.rows,
                                  x.cols);
  const Encoding encoding = quantizer_.encoding();
  ForEach(frame, x.size(), [&](int64_t i) {
    codes.data[i] =
        static_cast<uint8_t>(PlaneBitsOf(encoding, static_cast<int64_t>(terms.data[i])));
  });
  return codes;
}

int64_t LinearStep::InputPlanes(Frame& frame) {
  const ConstMatrixView<uint8_t> codes = PlaneCodes(frame);
  BitMatrixView planes[8];
  for (size_t b = 0; b < planes_.size(); ++b) {
    planes[b] = GrowBits(planes_[b], codes.rows, in_, frame.context());
  }
  frame.kernels().pack_planes(frame.context(), codes, static_cast<int>(planes_.size()), planes);
  return codes.rows;
}

ConstBitMatrixView LinearStep::InputBits(Frame& frame) {
  if (operand_is_bits_) return frame.bits(operand_);
  if (frame.pixels(operand_).data != nullptr) {
    const int64_t rows = InputPlanes(frame);
    ConstBitMatrixView bits = planes_[0].view();
    bits.rows = rows;
    return bits;
  }
  const ConstMatrixView<float> x = frame.floats(operand_);
  const BitMatrixView bits = GrowBits(planes_[0], x.rows, in_, frame.context());
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
