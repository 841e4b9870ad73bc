#include "bitgrad/ops/linear.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bitgrad/ops/coded_product.h"
#include "bitgrad/ops/dot_kernel.h"
#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/quantize_operand.h"

namespace bitgrad {
namespace {

// y = (c_x c_w^T) * scale in integers, for operands that are not both binary.
void IntegerProduct(ExecContext& context, const QuantizedOperand& x, const QuantizedOperand& w, float scale,
                    Tensor& y) {
  const DotOutput out = {.floats = y.mutable_matrix<float>(), .scale = scale};
  std::optional<CodePlanes> packed;
  if (w.bits == nullptr) packed.emplace(context, ConstCodesView{w.encoding, w.codes.matrix<uint8_t>()});
  const ConstPlanesView weights = packed ? packed->view() : BinaryPlanes(w.bits->view());
  if (x.bits != nullptr) {
    KernelsFor(context.device()).plane_gemm(context, BinaryPlanes(x.bits->view()), weights, out);
  } else {
    CodedProduct(context, {x.encoding, x.codes.matrix<uint8_t>()}, weights, out);
  }
}

// What the op keeps for the backward pass: operands, as bits or stored codes where they have any, masks and shapes.
struct SavedForBackward {
  Shape x_shape, w_shape, y_shape;
  QuantizedOperand x, w;
  Surrogate x_surrogate, w_surrogate;
  Quantizer gradient_quantizer;
  RngStream gradient_rng;
  RngStream weight_gradient_rng;  // for int8 gradients, which are rounded once for each of the two products

  bool gradient_in_int8() const { return gradient_quantizer.encoding().kind == EncodingKind::kSigned; }
  DotKernel KernelOn(Device device) const {
    return ChooseDotKernel(x.encoding, w.encoding, w_shape.cols(), x_shape.rows(), CountsWords(device));
  }
  // The encoding of the gradient in its product with `operand`.
  Encoding GradientEncoding(const QuantizedOperand& operand) const {
    return gradient_in_int8() && operand.bits == nullptr ? Encoding() : gradient_quantizer.encoding();
  }
};

// (c_x c_w^T) * scale
Tensor Product(ExecContext& context, const SavedForBackward& saved) {
  const QuantizedOperand &x = saved.x, &w = saved.w;
  const Kernels& kernels = KernelsFor(context.device());
  const ProductScale scale(x, w);
  Tensor y(saved.y_shape, DType::kFloat32, context.allocator());
  switch (saved.KernelOn(context.device())) {
    case DotKernel::kXnorPopcount:
      kernels.packed_gemm(context, x.bits->view(), w.bits->view(),
                          {.floats = y.mutable_matrix<float>(), .scale = scale.for_kernel()});
      scale.Finish(context, y);
      break;
    case DotKernel::kBitPlanes:
    case DotKernel::kInt8:
      IntegerProduct(context, x, w, scale.for_kernel(), y);
      scale.Finish(context, y);
      break;
    case DotKernel::kFloatGemm: {
      const Tensor x_codes = FloatCodes(context, x, saved.x_shape);
      const Tensor w_codes = FloatCodes(context, w, saved.w_shape);
      kernels.gemm_f32(context, false, true, 1.0f, x_codes.matrix<float>(), w_codes.matrix<float>(), 0.0f,
                       y.mutable_matrix<float>());
      scale.Apply(context, y);
      break;
    }
  }
  return y;
}

Tensor QuantizeGradient(ExecContext& context, const Quantizer& quantizer, const RngStream& rng, const Tensor& dy) {
  const Tensor statistic = ComputeStatistic(context, quantizer, dy);
  Tensor quantized(dy.shape(), DType::kFloat32, context.allocator());
  KernelsFor(context.device())
      .quantize_values(context, quantizer, dy.matrix<float>(), StatisticData(statistic), rng,
                       quantized.mutable_matrix<float>());
  return quantized;
}

// The product scale * op(dy) s, where s are the signs of a binary operand and op(dy) is dy^T with `transpose`,
// otherwise dy. Elements whose bit in the mask is 0 become 0; a null mask has all bits.
Tensor SignProduct(Tape::GradientSink& sink, const SavedForBackward& saved, bool transpose, const Tensor& dy,
                   const QuantizedOperand& signs, const BitMatrix* mask, const Shape& shape) {
  ExecContext& context = sink.context();
  const Kernels& kernels = KernelsOf(sink);
  const ConstBitMatrixView mask_view = mask == nullptr ? ConstBitMatrixView{} : mask->view();
  const ProductScale scale_of_signs(signs);
  Tensor product = NewTensor(sink, shape);
  // The optimizer needs the sum of squares of a weight's gradient. On the CPU the kernel computes it in passing.
  double squares = 0;
  double* const wanted = transpose && context.device() == Device::kCpu ? &squares : nullptr;
  if (!saved.gradient_in_int8()) {
    kernels.sign_gemm_f32(context, transpose, scale_of_signs.for_kernel(), dy.matrix<float>(), signs.bits->view(),
                          mask_view, product.mutable_matrix<float>(), wanted);
    scale_of_signs.Finish(context, product);
    if (wanted != nullptr) product.set_sum_of_squares(squares);
    return product;
  }
  const ConstMatrixView<float> g = dy.matrix<float>();
  const int64_t rows = transpose ? g.cols : g.rows;
  Tensor codes({rows, transpose ? g.rows : g.cols}, DType::kInt8, context.allocator());
  Tensor scale = NewTensor(sink, Shape({rows}));
  kernels.quantize_rows_s8(context, saved.gradient_quantizer, transpose, g,
                           transpose ? saved.weight_gradient_rng : saved.gradient_rng, codes.mutable_matrix<int8_t>(),
                           scale.mutable_data<float>());
  scale_of_signs.Apply(context, scale);
  kernels.sign_gemm_s8(context, scale.data<float>(), codes.matrix<int8_t>(), signs.bits->view(), mask_view,
                       product.mutable_matrix<float>(), wanted);
  if (wanted != nullptr) product.set_sum_of_squares(squares);
  return product;
}

// dx = dy w * Surrogate_x(x)
Tensor InputGradient(Tape::GradientSink& sink, const SavedForBackward& saved, const Tensor& dy) {
  ExecContext& context = sink.context();
  if (saved.w.bits != nullptr) {
    const BitMatrix& window = saved.x_surrogate.window();
    if (!window.is_null()) return SignProduct(sink, saved, false, dy, saved.w, &window, saved.x_shape);
    return saved.x_surrogate.Apply(context, SignProduct(sink, saved, false, dy, saved.w, nullptr, saved.x_shape));
  }
  const Tensor codes = FloatCodes(context, saved.w, saved.w_shape);
  const ProductScale scale(saved.w);
  Tensor dx = NewTensor(sink, saved.x_shape);
  KernelsOf(sink).gemm_f32(context, false, false, scale.for_kernel(), dy.matrix<float>(), codes.matrix<float>(), 0.0f,
                           dx.mutable_matrix<float>());
  scale.Finish(context, dx);
  return saved.x_surrogate.Apply(context, std::move(dx));
}

// dw = dy^T x * Surrogate_w(w)
Tensor WeightGradient(Tape::GradientSink& sink, const SavedForBackward& saved, const Tensor& dy) {
  ExecContext& context = sink.context();
  if (saved.x.bits != nullptr) {
    return saved.w_surrogate.Apply(context, SignProduct(sink, saved, true, dy, saved.x, nullptr, saved.w_shape));
  }
  const Tensor codes = FloatCodes(context, saved.x, saved.x_shape);
  const ProductScale scale(saved.x);
  Tensor dw = NewTensor(sink, saved.w_shape);
  KernelsOf(sink).gemm_f32(context, true, false, scale.for_kernel(), dy.matrix<float>(), codes.matrix<float>(), 0.0f,
                           dw.mutable_matrix<float>());
  scale.Finish(context, dw);
  return saved.w_surrogate.Apply(context, std::move(dw));
}

void Backward(const SavedForBackward& saved, Tape::GradientSink& sink) {
  const bool quantizes = !saved.gradient_quantizer.is_identity() && !saved.gradient_in_int8();
  const Tensor dy =
      quantizes ? QuantizeGradient(sink.context(), saved.gradient_quantizer, saved.gradient_rng, sink.output_gradient())
                : sink.output_gradient().Alias();
  const int64_t macs = dy.num_elements() * saved.w_shape.cols();
  if (sink.wants(0)) {
    sink.Add(0, InputGradient(sink, saved, dy));
    sink.Count(CountDot(saved.GradientEncoding(saved.w), saved.w.encoding, macs));
  }
  if (sink.wants(1)) {
    sink.Add(1, WeightGradient(sink, saved, dy));
    sink.Count(CountDot(saved.GradientEncoding(saved.x), saved.x.encoding, macs));
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
  for (const Quantizer* q : {&quantizers.input, &quantizers.weight, &quantizers.gradient}) {
    if (!op.CheckQuantizer(*q)) return op.Failed();
  }
  for (const Quantizer* q : {&quantizers.input, &quantizers.weight}) {
    if (q->statistic() == Statistic::kRowMaxAbs) {
      return op.Fail("quantizer '", q->ToString(), "' has a scale for each row; it is for gradients");
    }
  }
  ExecContext& context = op.context();
  const bool training = op.training();
  const Quantizer input = training ? quantizers.input : quantizers.input.AtEvaluation(QuantizerRole::kActivation);
  const Quantizer weight = training ? quantizers.weight : quantizers.weight.AtEvaluation(QuantizerRole::kWeight);
  const int64_t k = w_shape.cols();
  if (input.encoding().kind == EncodingKind::kBinary && weight.encoding().kind == EncodingKind::kBinary &&
      k >= kMaxExactFloatInteger) {
    return op.Fail("inner dimension ", k, " is not below 2^24");
  }
  std::vector<int64_t> y_dims(x_shape.dims().begin(), x_shape.dims().end());
  y_dims.back() = w_shape.dim(0);
  if (!op.CheckResult(Shape(absl::MakeConstSpan(y_dims)))) return op.Failed();
  const auto shared = std::make_shared<SavedForBackward>(
      SavedForBackward{.x_shape = x_shape, .w_shape = w_shape, .y_shape = Shape(absl::MakeConstSpan(y_dims))});
  SavedForBackward& saved = *shared;
  const RngStream x_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);
  Surrogate* const x_surrogate = op.wants(0) ? &saved.x_surrogate : nullptr;
  const auto pending = std::dynamic_pointer_cast<const PendingBatchNorm>(op.pending(0));
  if (pending != nullptr && NeedsOnlySigns(input)) {
    saved.x = QuantizePending(context, input, *pending, x_shape, x_surrogate);
  } else {
    saved.x = QuantizeOperand(context, input, QuantizerRole::kActivation, op.value(0), x_rng, x_surrogate);
  }
  saved.w =
      QuantizeOperand(context, weight, QuantizerRole::kWeight, op.value(1),
                      op.tape().NextRandomStream(RngPurpose::kQuantizer), op.wants(1) ? &saved.w_surrogate : nullptr);
  saved.gradient_quantizer = quantizers.gradient;
  saved.gradient_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);
  if (saved.gradient_in_int8()) saved.weight_gradient_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);

  // dx sums over outputs, dw over examples.
  const int64_t longest_sum = std::max(op.wants(0) && saved.w.bits != nullptr ? w_shape.rows() : 0,
                                       op.wants(1) && saved.x.bits != nullptr ? x_shape.rows() : 0);
  if (saved.gradient_in_int8() && longest_sum > kMaxSignGemmS8Inner) {
    return op.Fail("gradient quantizer '", quantizers.gradient.ToString(), "' sums up at most ", kMaxSignGemmS8Inner,
                   " examples or outputs, not those of input ", x_shape.ToString(), " and weight ", w_shape.ToString());
  }
  if (const BitMatrix& window = saved.x_surrogate.window(); !window.is_null()) {
    op.kernels().count_ones(context, window.view(), op.tape().Observe(window.rows() * window.cols()));
  }
  Tensor y = Product(context, saved);
  op.tape().Count(CountDot(saved.x.encoding, saved.w.encoding, y.num_elements() * k));
  // Sums of bits and codes are exact and cheap, so an op that needs y in its backward pass computes it again rather
  // than keeping it.
  std::shared_ptr<const Recomputation> recompute;
  if (training && saved.KernelOn(context.device()) != DotKernel::kFloatGemm) {
    recompute =
        std::make_shared<const Recomputation>(Recomputation{[shared](ExecContext& c) { return Product(c, *shared); }});
  }
  return op.Record(
      std::move(y), {{"input_quantizer", input.ToString()}, {"weight_quantizer", weight.ToString()}},
      [shared](Tape::GradientSink& sink) { Backward(*shared, sink); }, std::move(recompute));
}

}  // namespace bitgrad
