#include "bitgrad/ops/product_operand.h"

#include "bitgrad/core/check.h"
#include "bitgrad/ops/decode.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {

Tensor ProductOperand::Terms(ExecContext& context) const {
  return coded == nullptr ? values.Alias() : FloatCodes(context, *coded);
}

bool ReadOperand(OpRecorder& op, int input, const Shape& matrix, ProductOperand& operand) {
  operand.coded = op.coded(input);
  if (operand.coded == nullptr) {
    operand.values = op.value(input).Alias(matrix);
    operand.encoding = op.encoding(input);
    return true;
  }
  operand.encoding = operand.coded->encoding;
  if (operand.coded->matrix == matrix) return true;
  op.Fail("operand ", input, " was quantized as a matrix ", operand.coded->matrix.ToString(), ", and is multiplied as ",
          matrix.ToString(), "; set QuantizeOptions::rows to what the product takes");
  return false;
}

ProductScale::ProductScale(ExecContext& context, const ScaleView& x, const ScaleView& w, int64_t outputs) {
  BITGRAD_DCHECK(x.is_uniform());
  if (x.is_constant() && w.is_constant()) {
    view_ = ScaleView(x.factor * w.factor);
  } else if (x.is_constant() && w.factor == 1.0f) {
    view_ = ScaleView(x.factor, w.values, w.stride);
  } else if (w.is_constant() && x.factor == 1.0f) {
    view_ = ScaleView(w.factor, x.values, 0);
  } else {
    const int64_t count = w.is_uniform() ? 1 : outputs;
    product_ = Tensor({count}, DType::kFloat32, context.allocator());
    KernelsFor(context.device()).combine_scales(context, x, w, count, product_.mutable_data<float>());
    view_ = ScaleView(1.0f, product_.data<float>(), w.is_uniform() ? 0 : 1);
  }
}

void ScaleOutputs(ExecContext& context, const ScaleView& scale, Tensor& y) {
  if (scale.is_constant() && scale.factor == 1.0f) return;
  KernelsFor(context.device()).scale_columns(context, scale, y.matrix<float>(), y.mutable_matrix<float>());
}

Tensor ScaledGradient(ExecContext& context, const ScaleView& scale, Tensor dy) {
  if (dy.is_unique()) {
    ScaleOutputs(context, scale, dy);
    return dy;
  }
  Tensor scaled(dy.shape(), DType::kFloat32, context.allocator());
  KernelsFor(context.device()).scale_columns(context, scale, dy.matrix<float>(), scaled.mutable_matrix<float>());
  return scaled;
}

Tensor QuantizedValues(ExecContext& context, const Quantizer& quantizer, const RngStream& rng, const Tensor& dy) {
  const Kernels& kernels = KernelsFor(context.device());
  QuantizerOperands operands;
  Tensor statistic;
  if (quantizer.statistic() != Statistic::kNone) {
    const int64_t count = quantizer.granularity() == Granularity::kRow ? dy.shape().rows() : 1;
    statistic = Tensor({count}, DType::kFloat32, context.allocator());
    kernels.quantize_statistic(context, quantizer, dy.matrix<float>(), statistic.mutable_data<float>());
    operands.statistic = statistic.data<float>();
  }
  Tensor values(dy.shape(), DType::kFloat32, context.allocator());
  kernels.quantize_values(context, quantizer, dy.matrix<float>(), operands, rng, values.mutable_matrix<float>());
  return values;
}

ProductOperand InputForWeightGradient(ExecContext& context, const Quantizer& quantizer, const RngStream& rng,
                                      const ProductOperand& x) {
  const Tensor values = x.coded == nullptr ? x.values.Alias() : Decode(context, *x.coded);
  return {
      .encoding = quantizer.encoding(), .coded = nullptr, .values = QuantizedValues(context, quantizer, rng, values)};
}

ArithmeticCounts CountDot(const Encoding& a, const Encoding& b, int64_t macs) {
  const auto is = [&](EncodingKind x, EncodingKind y) {
    return (a.kind == x && b.kind == y) || (a.kind == y && b.kind == x);
  };
  if (is(EncodingKind::kBinary, EncodingKind::kBinary)) return {.xnor_popcounts = macs};
  const bool integers = a.is_integer() && b.is_integer();
  // A product with -1, 0 or +1 is a sign change.
  const auto sign_only = [](const Encoding& e) { return e.is_integer() && e.max_code() == 1; };
  if (sign_only(a) || sign_only(b)) {
    return integers ? ArithmeticCounts{.integer_additions = macs} : ArithmeticCounts{.float_additions = macs};
  }
  // A product with a power of two is a shift, of a float an addition to its exponent.
  const auto shifts = [](const Encoding& e) { return e.is_power_of_two(); };
  if (shifts(a) || shifts(b)) {
    return integers ? ArithmeticCounts{.integer_additions = macs, .shifts = macs}
                    : ArithmeticCounts{.float_additions = macs, .shifts = macs};
  }
  if (integers) return {.integer_multiplications = macs, .integer_additions = macs};
  return {.float_multiplications = macs, .float_additions = macs};
}

ArithmeticCounts CountScaling(const ScaleView& scale, int64_t elements) {
  return CountScaling(scale, ScaleView(), elements);
}

// The two are one factor.
ArithmeticCounts CountScaling(const ScaleView& a, const ScaleView& b, int64_t elements) {
  const auto is_one = [](const ScaleView& scale) { return scale.is_constant() && scale.factor == 1.0f; };
  if (is_one(a) && is_one(b)) return {};
  return {.float_multiplications = elements};
}

// A quotient and, of a stochastic quantizer, the addition of a random number.
ArithmeticCounts CountGradientQuantizer(const Quantizer& quantizer, int64_t elements) {
  if (quantizer.is_identity()) return {};
  return {.float_multiplications = elements, .float_additions = quantizer.info().stochastic ? elements : 0};
}

}  // namespace bitgrad
