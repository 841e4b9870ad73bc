#include "bitgrad/ops/quantize_operand.h"

#include <utility>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {

Tensor ComputeStatistic(ExecContext& context, const Quantizer& quantizer, const Tensor& x) {
  const Statistic kind = quantizer.statistic();
  if (kind == Statistic::kNone) return Tensor();
  const int64_t count = kind == Statistic::kRowMaxAbs ? x.shape().rows() : 1;
  Tensor statistic({count}, DType::kFloat32, context.allocator());
  KernelsFor(context.device())
      .quantize_statistic(context, quantizer, x.matrix<float>(), statistic.mutable_data<float>());
  return statistic;
}

QuantizedOperand QuantizeOperand(ExecContext& context, const Quantizer& quantizer, QuantizerRole role, const Tensor& x,
                                 const RngStream& rng, Surrogate* surrogate, Parameter* parameter) {
  const Kernels& kernels = KernelsFor(context.device());
  const ConstMatrixView<float> matrix = x.matrix<float>();
  QuantizedOperand operand;
  operand.encoding = quantizer.encoding();
  if (quantizer.is_identity()) {
    operand.codes = x.Alias();
    return operand;
  }
  operand.statistic = ComputeStatistic(context, quantizer, x);
  // The scale of a weight is one number for the whole tensor (only gradients have a scale for each row), and can stay
  // on the device. The scale of an activation decides which borders a convolution can have, so the host has to know it.
  operand.scale_on_device =
      context.device() != Device::kCpu && role == QuantizerRole::kWeight && quantizer.scale_is_statistic();
  if (!operand.scale_on_device) {
    float statistic = 0;
    if (!quantizer.scale_is_fixed()) context.Download(&statistic, operand.statistic.raw_data(), sizeof(statistic));
    operand.scale = quantizer.scale(statistic);
  }

  BitMatrix window;
  const bool pass = role == QuantizerRole::kWeight && quantizer.info().weight_pass_through;
  const bool wants_window = surrogate != nullptr && !pass && quantizer.info().surrogate_is_window;
  if (wants_window) window = BitMatrix(matrix.rows, matrix.cols, context.allocator());
  const BitMatrixView window_view = wants_window ? window.mutable_view() : BitMatrixView{};

  // The codes of a binary quantizer that draws no random numbers are the signs, whichever quantizer it is.
  const bool codes_are_signs = operand.encoding.kind == EncodingKind::kBinary && !quantizer.info().stochastic;
  const bool reusable = parameter != nullptr && role == QuantizerRole::kWeight && codes_are_signs && !wants_window;
  const std::shared_ptr<const BitMatrix> carried = reusable ? parameter->signs() : nullptr;
  if (carried != nullptr && carried->rows() == matrix.rows && carried->cols() == matrix.cols) {
    operand.bits = carried;
  } else if (operand.encoding.kind == EncodingKind::kBinary) {
    // Signs that stay with a weight may outlive the context.
    Allocator& allocator = reusable && surrogate != nullptr ? context.lasting_allocator() : context.allocator();
    auto bits = std::make_shared<BitMatrix>(matrix.rows, matrix.cols, allocator);
    kernels.quantize_bits(context, quantizer, matrix, StatisticData(operand.statistic), rng, bits->mutable_view(),
                          window_view);
    operand.bits = std::move(bits);
    if (reusable && surrogate != nullptr) parameter->set_signs(operand.bits);
  } else {
    Tensor codes(x.shape(), DType::kFloat32, context.allocator());
    kernels.quantize_codes(context, quantizer, matrix, StatisticData(operand.statistic), rng,
                           codes.mutable_matrix<float>());
    if (operand.encoding.is_integer()) {
      operand.codes = Tensor(x.shape(), DType::kUint8, context.allocator());
      kernels.pack_codes(context, operand.encoding, codes.matrix<float>(), operand.codes.mutable_matrix<uint8_t>());
    } else {
      operand.codes = std::move(codes);
    }
    if (wants_window) {
      BitMatrix signs(matrix.rows, matrix.cols, context.allocator());
      kernels.pack_signs(context, matrix, signs.mutable_view(), window_view);
    }
  }
  if (surrogate != nullptr && !pass) {
    surrogate->quantizer_ = quantizer;
    if (wants_window) {
      surrogate->window_ = std::move(window);
    } else {
      surrogate->x_ = x.Alias();
      if (!operand.statistic.is_null()) surrogate->statistic_ = operand.statistic.Alias();
    }
  }
  return operand;
}

ProductScale::ProductScale(const QuantizedOperand& a, const QuantizedOperand& b)
    : scale_(a.scale * b.scale),
      on_device_(a.scale_on_device   ? a.statistic.data<float>()
                 : b.scale_on_device ? b.statistic.data<float>()
                                     : nullptr) {
  BITGRAD_DCHECK(!a.scale_on_device || !b.scale_on_device);
}

void ProductScale::Finish(ExecContext& context, Tensor& y) const {
  if (on_device_ != nullptr) Apply(context, y);
}

void ProductScale::Apply(ExecContext& context, Tensor& y) const {
  const Kernels& kernels = KernelsFor(context.device());
  float* const data = y.mutable_data<float>();
  if (on_device_ != nullptr) {
    kernels.scale_by_f32(context, scale_, on_device_, data, y.num_elements());
  } else if (scale_ != 1.0f) {
    kernels.scale_f32(context, scale_, data, /*accumulate=*/false, data, y.num_elements());
  }
}

bool NeedsOnlySigns(const Quantizer& quantizer) {
  return quantizer.encoding().kind == EncodingKind::kBinary && quantizer.info().surrogate_is_window &&
         !quantizer.info().stochastic && quantizer.statistic() == Statistic::kNone;
}

QuantizedOperand QuantizePending(ExecContext& context, const Quantizer& quantizer, const PendingBatchNorm& x,
                                 const Shape& shape, Surrogate* surrogate) {
  QuantizedOperand operand;
  operand.encoding = quantizer.encoding();
  operand.scale = quantizer.scale(0.0f);
  auto bits = std::make_shared<BitMatrix>(shape.rows(), shape.cols(), context.allocator());
  if (surrogate != nullptr) {
    surrogate->quantizer_ = quantizer;
    surrogate->window_ = BitMatrix(shape.rows(), shape.cols(), context.allocator());
  }
  x.Signs(context, bits->mutable_view(), surrogate != nullptr ? surrogate->window_.mutable_view() : BitMatrixView{});
  operand.bits = std::move(bits);
  return operand;
}

Tensor Surrogate::Apply(ExecContext& context, Tensor dq) const {
  if (passes()) return dq;
  const Kernels& kernels = KernelsFor(context.device());
  Tensor dx = dq.is_unique() ? dq.Alias() : Tensor(dq.shape(), DType::kFloat32, context.allocator());
  if (!window_.is_null()) {
    kernels.mask_by_bits(context, window_.view(), dq.matrix<float>(), dx.mutable_matrix<float>());
  } else {
    kernels.quantize_backward(context, quantizer_, x_.matrix<float>(), StatisticData(statistic_), dq.matrix<float>(),
                              dx.mutable_matrix<float>());
  }
  return dx;
}

Tensor FloatCodes(ExecContext& context, const QuantizedOperand& operand, const Shape& shape) {
  if (!operand.encoding.is_integer()) return operand.codes.Alias();
  Tensor codes(shape, DType::kFloat32, context.allocator());
  const Kernels& kernels = KernelsFor(context.device());
  if (operand.bits != nullptr) {
    kernels.unpack_signs(context, operand.bits->view(), codes.mutable_matrix<float>());
  } else {
    kernels.unpack_codes(context, operand.encoding, operand.codes.matrix<uint8_t>(), codes.mutable_matrix<float>());
  }
  return codes;
}

ArithmeticCounts CountDot(const Encoding& a, const Encoding& b, int64_t macs) {
  const auto is = [&](EncodingKind x, EncodingKind y) {
    return (a.kind == x && b.kind == y) || (a.kind == y && b.kind == x);
  };
  const auto sign_only = [](const Encoding& e) {
    return e.kind == EncodingKind::kBinary || e.kind == EncodingKind::kTernary;
  };
  if (is(EncodingKind::kBinary, EncodingKind::kBinary)) return {.xnor_popcounts = macs};
  if (a.is_integer() && b.is_integer()) return {.integer_additions = macs};
  // A product with -1, 0 or +1 is a sign change.
  if (sign_only(a) || sign_only(b)) return {.float_additions = macs};
  return {.float_multiplications = macs, .float_additions = macs};
}

}  // namespace bitgrad
