#include "ops/linear.h"

#include <optional>
#include <utility>
#include <vector>

#include "ops/coded_product.h"
#include "ops/dot_kernel.h"
#include "ops/op_recorder.h"
#include "ops/quantize_operand.h"

namespace bitgrad {
namespace {

void ScaleInPlace(ExecContext& context, float scale, Tensor& y) {
  if (scale == 1.0f) return;
  float* data = y.mutable_data<float>();
  KernelsFor(context.device())
      .scale_f32(context, scale, data, /*accumulate=*/false, data, y.num_elements());
}

// c of the operand's codes, which are floats.
Tensor StoredCodes(ExecContext& context, const QuantizedOperand& operand) {
  Tensor c(operand.codes.shape(), DType::kUint8, context.allocator());
  KernelsFor(context.device())
      .pack_codes(context, operand.encoding, operand.codes.matrix<float>(), c.mutable_matrix<uint8_t>());
  return c;
}

// y = (c_x c_w^T) * scale in integers, for operands that are not both binary.
void IntegerProduct(ExecContext& context, const QuantizedOperand& x, const QuantizedOperand& w, Tensor& y) {
  const DotOutput out = {.floats = y.mutable_matrix<float>(), .scale = x.scale * w.scale};
  std::optional<CodePlanes> packed;
  if (w.bits.is_null()) {
    packed.emplace(context, ConstCodesView{w.encoding, StoredCodes(context, w).matrix<uint8_t>()});
  }
  const ConstPlanesView weights = packed ? packed->view() : BinaryPlanes(w.bits.view());
  if (!x.bits.is_null()) {
    KernelsFor(context.device()).plane_gemm(context, BinaryPlanes(x.bits.view()), weights, out);
  } else {
    CodedProduct(context, {x.encoding, StoredCodes(context, x).matrix<uint8_t>()}, weights, out);
  }
}

// (c_x c_w^T) * scale
Tensor Product(ExecContext& context, const QuantizedOperand& x, const Shape& x_shape,
               const QuantizedOperand& w, const Shape& w_shape, const Shape& y_shape) {
  const Kernels& kernels = KernelsFor(context.device());
  const float scale = x.scale * w.scale;
  Tensor y(y_shape, DType::kFloat32, context.allocator());
  switch (ChooseDotKernel(x.encoding, w.encoding, w_shape.cols(), x_shape.rows())) {
    case DotKernel::kXnorPopcount:
      kernels.packed_gemm_f32(context, x.bits.view(), w.bits.view(), scale, y.mutable_matrix<float>());
      break;
    case DotKernel::kBitPlanes:
    case DotKernel::kInt8:
      IntegerProduct(context, x, w, y);
      break;
    case DotKernel::kFloatGemm: {
      const Tensor x_codes = FloatCodes(context, x, x_shape);
      const Tensor w_codes = FloatCodes(context, w, w_shape);
      kernels.gemm_f32(context, false, true, 1.0f, x_codes.matrix<float>(), w_codes.matrix<float>(), 0.0f,
                       y.mutable_matrix<float>());
      ScaleInPlace(context, scale, y);
      break;
    }
  }
  return y;
}

// What the backward pass keeps: operands as bits where they are binary, masks, shapes.
struct Saved {
  Shape x_shape, w_shape;
  QuantizedOperand x, w;
  Surrogate x_surrogate, w_surrogate;
  Quantizer gradient_quantizer;
  RngStream gradient_rng;
};

Tensor QuantizeGradient(ExecContext& context, const Quantizer& quantizer, const RngStream& rng,
                        const Tensor& dy) {
  const Tensor statistic = ComputeStatistic(context, quantizer, dy);
  Tensor quantized(dy.shape(), DType::kFloat32, context.allocator());
  KernelsFor(context.device())
      .quantize_values(context, quantizer, dy.matrix<float>(), StatisticData(statistic), rng,
                       quantized.mutable_matrix<float>());
  return quantized;
}

void Backward(const Saved& saved, Tape::GradientSink& sink) {
  ExecContext& context = sink.context();
  const Kernels& kernels = KernelsOf(sink);
  const Encoding gradient_encoding = saved.gradient_quantizer.encoding();
  const Tensor dy = saved.gradient_quantizer.is_identity()
                        ? sink.output_gradient().Alias()
                        : QuantizeGradient(context, saved.gradient_quantizer, saved.gradient_rng,
                                           sink.output_gradient());
  const int64_t macs = dy.num_elements() * saved.w_shape.cols();
  if (sink.wants(0)) {
    const Tensor codes = FloatCodes(context, saved.w, saved.w_shape);
    Tensor dx = NewTensor(sink, saved.x_shape);
    kernels.gemm_f32(context, false, false, saved.w.scale, dy.matrix<float>(), codes.matrix<float>(),
                     0.0f, dx.mutable_matrix<float>());
    sink.Count(CountDot(gradient_encoding, saved.w.encoding, macs));
    sink.Add(0, saved.x_surrogate.Apply(context, std::move(dx)));
  }
  if (sink.wants(1)) {
    const Tensor codes = FloatCodes(context, saved.x, saved.x_shape);
    Tensor dw = NewTensor(sink, saved.w_shape);
    kernels.gemm_f32(context, true, false, saved.x.scale, dy.matrix<float>(), codes.matrix<float>(),
                     0.0f, dw.mutable_matrix<float>());
    sink.Count(CountDot(gradient_encoding, saved.x.encoding, macs));
    sink.Add(1, saved.w_surrogate.Apply(context, std::move(dw)));
  }
}

}  // namespace

Var Linear(const Var& x, const Var& w, const LinearQuantizers& quantizers) {
  OpRecorder op("linear", {x, w});
  if (!op.ok()) return op.Failed();
  const Shape x_shape = x.shape(), w_shape = w.shape();
  if (x_shape.rank() < 1 || w_shape.rank() != 2 || x_shape.cols() != w_shape.cols()) {
    return op.Fail("input ", x_shape.ToString(), " and weight ", w_shape.ToString(),
                   " do not match; they have to be [batch, in] and [out, in]");
  }
  for (const Quantizer* q : {&quantizers.input, &quantizers.weight}) {
    if (q->statistic() == Statistic::kRowMaxAbs) {
      return op.Fail("quantizer '", q->ToString(), "' has a scale for each row; it is for gradients");
    }
  }
  ExecContext& context = op.context();
  const bool training = op.training();
  const Quantizer input =
      training ? quantizers.input : quantizers.input.AtEvaluation(QuantizerRole::kActivation);
  const Quantizer weight =
      training ? quantizers.weight : quantizers.weight.AtEvaluation(QuantizerRole::kWeight);
  const int64_t k = w_shape.cols();
  if (input.encoding().kind == EncodingKind::kBinary &&
      weight.encoding().kind == EncodingKind::kBinary && k >= kMaxExactFloatInteger) {
    return op.Fail("inner dimension ", k, " is not below 2^24");
  }

  Saved saved{.x_shape = x_shape, .w_shape = w_shape};
  saved.x = QuantizeOperand(context, input, QuantizerRole::kActivation, op.value(0),
                            op.tape().NextRandomStream(RngPurpose::kQuantizer),
                            op.wants(0) ? &saved.x_surrogate : nullptr);
  saved.w = QuantizeOperand(context, weight, QuantizerRole::kWeight, op.value(1),
                            op.tape().NextRandomStream(RngPurpose::kQuantizer),
                            op.wants(1) ? &saved.w_surrogate : nullptr);
  saved.gradient_quantizer = quantizers.gradient;
  saved.gradient_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);

  if (const BitMatrix& window = saved.x_surrogate.window(); !window.is_null()) {
    int64_t inside = 0;
    op.kernels().count_ones(context, window.view(), &inside);
    op.tape().Observe(inside, window.rows() * window.cols());
  }
  std::vector<int64_t> y_dims(x_shape.dims().begin(), x_shape.dims().end());
  y_dims.back() = w_shape.dim(0);
  Tensor y = Product(context, saved.x, x_shape, saved.w, w_shape, Shape(absl::MakeConstSpan(y_dims)));
  op.tape().Count(CountDot(saved.x.encoding, saved.w.encoding, y.num_elements() * k));

  return op.Record(std::move(y),
                   {{"input_quantizer", input.ToString()}, {"weight_quantizer", weight.ToString()}},
                   [saved = std::move(saved)](Tape::GradientSink& sink) { Backward(saved, sink); });
}

}  // namespace bitgrad
