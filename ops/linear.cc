#include "bitgrad/ops/linear.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bitgrad/ops/coded_product.h"
#include "bitgrad/ops/decode.h"
#include "bitgrad/ops/dot_kernel.h"
#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/product_operand.h"

namespace bitgrad {
namespace {

// What the op keeps for the backward pass: operands, as bits or stored codes where they have any, and shapes.
struct SavedForBackward {
  Shape x_shape, w_shape, y_shape;
  ProductOperand x, w;
  Quantizer gradient_quantizer;
  RngStream gradient_rng;
  Quantizer input_for_weight_gradient;
  RngStream input_for_weight_gradient_rng;
  RngStream weight_gradient_rng;  // for int8 gradients, which are rounded once for each of the two products

  bool gradient_in_int8() const { return gradient_quantizer.encoding().kind == EncodingKind::kSigned; }
  DotKernel KernelOn(Device device) const {
    return ChooseDotKernel(x.encoding, w.encoding, w_shape.cols(), x_shape.rows(), CountsWords(device));
  }
  // The encoding of the gradient in its product with `operand`.
  Encoding GradientEncoding(const ProductOperand& operand) const {
    return gradient_in_int8() && operand.bits() == nullptr ? Encoding() : gradient_quantizer.encoding();
  }
};

// out = the transform of c_x c_w^T in integers by `kernel`, for operands that are not both binary.
void IntegerProduct(ExecContext& context, DotKernel kernel, const CodedTensor& x, const CodedTensor& w,
                    const DotOutput& out) {
  std::optional<CodePlanes> packed;
  if (!w.is_binary()) packed.emplace(context, ConstCodesView{w.encoding, w.codes.matrix<uint8_t>()});
  const ConstPlanesView weights = packed ? packed->view() : BinaryPlanes(w.bits->view());
  if (x.is_binary() && kernel == DotKernel::kBitPlanes) {
    KernelsFor(context.device()).plane_gemm(context, BinaryPlanes(x.bits->view()), weights, out);
  } else {
    const Tensor codes = StoredCodes(context, x);
    CodedProduct(context, {x.encoding, codes.matrix<uint8_t>()}, weights, out);
  }
}

// (c_x c_w^T) * scale
Tensor Product(ExecContext& context, const SavedForBackward& saved) {
  const ProductOperand &x = saved.x, &w = saved.w;
  const Kernels& kernels = KernelsFor(context.device());
  const ProductScale scale(context, x.scale(), w.scale(), saved.w_shape.rows());
  Tensor y(saved.y_shape, DType::kFloat32, context.allocator());
  const DotOutput out = {.floats = y.mutable_matrix<float>(), .scale = scale.view()};
  const DotKernel kernel = saved.KernelOn(context.device());
  switch (kernel) {
    case DotKernel::kXnorPopcount: kernels.packed_gemm(context, x.bits()->view(), w.bits()->view(), out); break;
    case DotKernel::kBitPlanes:
    case DotKernel::kInt8: IntegerProduct(context, kernel, *x.coded, *w.coded, out); break;
    case DotKernel::kFloatGemm: {
      const Tensor x_terms = x.Terms(context), w_terms = w.Terms(context);
      kernels.gemm_f32(context, false, true, 1.0f, x_terms.matrix<float>(), w_terms.matrix<float>(), 0.0f,
                       y.mutable_matrix<float>());
      ScaleOutputs(context, scale.view(), y);
      break;
    }
  }
  return y;
}

// The product scale * op(dy) s, where s are the signs of a binary operand and op(dy) is dy^T with `transpose`,
// otherwise dy. REQUIRES: scale.is_uniform().
Tensor SignProduct(Tape::GradientSink& sink, const SavedForBackward& saved, bool transpose, const Tensor& dy,
                   const BitMatrix& signs, const ScaleView& scale, const Shape& shape) {
  ExecContext& context = sink.context();
  const Kernels& kernels = KernelsOf(sink);
  Tensor product = NewTensor(sink, shape);
  // The optimizer needs the sum of squares of a weight's gradient. On the CPU the kernel computes it in passing.
  double squares = 0;
  double* const wanted = transpose && context.device() == Device::kCpu ? &squares : nullptr;
  if (!saved.gradient_in_int8()) {
    kernels.sign_gemm_f32(context, transpose, scale, dy.matrix<float>(), signs.view(), product.mutable_matrix<float>(),
                          wanted);
  } else {
    const ConstMatrixView<float> g = dy.matrix<float>();
    const int64_t rows = transpose ? g.cols : g.rows;
    Tensor codes({rows, transpose ? g.rows : g.cols}, DType::kInt8, context.allocator());
    Tensor row_scale = NewTensor(sink, Shape({1, rows}));
    kernels.quantize_rows_s8(context, saved.gradient_quantizer, transpose, g,
                             transpose ? saved.weight_gradient_rng : saved.gradient_rng, codes.mutable_matrix<int8_t>(),
                             row_scale.mutable_data<float>());
    ScaleOutputs(context, scale, row_scale);
    kernels.sign_gemm_s8(context, row_scale.data<float>(), codes.matrix<int8_t>(),
                         static_cast<int>(saved.gradient_quantizer.encoding().max_code()), signs.view(),
                         product.mutable_matrix<float>(), wanted);
  }
  if (wanted != nullptr) product.set_sum_of_squares(squares);
  return product;
}

// The product scale * op(dy) c, where c are the terms of an operand that is not binary.
Tensor FloatProduct(Tape::GradientSink& sink, bool transpose, const Tensor& dy, const ProductOperand& operand,
                    const ScaleView& scale, const Shape& shape) {
  ExecContext& context = sink.context();
  const Tensor terms = operand.Terms(context);
  Tensor product = NewTensor(sink, shape);
  // A factor that the host knows is applied by the product itself.
  const bool in_product = scale.is_constant();
  KernelsOf(sink).gemm_f32(context, transpose, false, in_product ? scale.factor : 1.0f, dy.matrix<float>(),
                           terms.matrix<float>(), 0.0f, product.mutable_matrix<float>());
  if (!in_product) ScaleOutputs(context, scale, product);
  return product;
}

// dx = (dy s_w) c_w. A scale for each output changes dy in place, where nobody else holds it.
Tensor InputGradient(Tape::GradientSink& sink, const SavedForBackward& saved, Tensor dy) {
  ScaleView scale = saved.w.scale();
  if (!scale.is_uniform()) {
    dy = ScaledGradient(sink.context(), scale, std::move(dy));
    scale = ScaleView();
  }
  if (const BitMatrix* bits = saved.w.bits(); bits != nullptr) {
    return SignProduct(sink, saved, false, dy, *bits, scale, saved.x_shape);
  }
  return FloatProduct(sink, false, dy, saved.w, scale, saved.x_shape);
}

// dw = (dy^T c_x) s_x
Tensor WeightGradient(Tape::GradientSink& sink, const SavedForBackward& saved, const Tensor& dy) {
  if (!saved.input_for_weight_gradient.is_identity()) {
    const ProductOperand x = InputForWeightGradient(sink.context(), saved.input_for_weight_gradient,
                                                    saved.input_for_weight_gradient_rng, saved.x);
    return FloatProduct(sink, true, dy, x, ScaleView(), saved.w_shape);
  }
  if (const BitMatrix* bits = saved.x.bits(); bits != nullptr) {
    return SignProduct(sink, saved, true, dy, *bits, saved.x.scale(), saved.w_shape);
  }
  return FloatProduct(sink, true, dy, saved.x, saved.x.scale(), saved.w_shape);
}

void Backward(const SavedForBackward& saved, Tape::GradientSink& sink) {
  const bool quantizes = !saved.gradient_quantizer.is_identity() && !saved.gradient_in_int8();
  Tensor dy = sink.TakeOutputGradient();
  if (quantizes) dy = QuantizedValues(sink.context(), saved.gradient_quantizer, saved.gradient_rng, dy);
  const int64_t elements = dy.num_elements(), macs = elements * saved.w_shape.cols();
  // Integer products quantize dy once for each of them.
  if (quantizes) sink.Count(CountGradientQuantizer(saved.gradient_quantizer, elements));
  const auto count_product = [&](const ProductOperand& operand, const Shape& result) {
    sink.Count(CountDot(saved.GradientEncoding(operand), operand.encoding, macs));
    sink.Count(CountScaling(operand.scale(), result.num_elements()));
    if (!quantizes) sink.Count(CountGradientQuantizer(saved.gradient_quantizer, elements));
  };
  const auto add_weight_gradient = [&] {
    if (!sink.wants(1)) return;
    sink.Add(1, WeightGradient(sink, saved, dy));
    if (saved.input_for_weight_gradient.is_identity()) {
      count_product(saved.x, saved.w_shape);
    } else {
      sink.Count(CountDot(quantizes ? saved.gradient_quantizer.encoding() : Encoding(),
                          saved.input_for_weight_gradient.encoding(), macs));
      sink.Count(CountGradientQuantizer(saved.input_for_weight_gradient, saved.x_shape.num_elements()));
    }
  };
  // Whoever changes dy in place comes last.
  const bool changes_dy = !saved.w.scale().is_uniform();
  if (changes_dy) add_weight_gradient();
  if (sink.wants(0)) {
    sink.Add(0, InputGradient(sink, saved, changes_dy ? std::move(dy) : dy.Alias()));
    count_product(saved.w, saved.x_shape);
  }
  if (!changes_dy) add_weight_gradient();
}

}  // namespace

Var Linear(const Var& x, const Var& w, const ProductOptions& options) {
  OpRecorder op("linear", {x, w});
  if (!op.ok()) return op.Failed();
  const Shape x_shape = x.shape(), w_shape = w.shape();
  if (x_shape.rank() < 1 || w_shape.rank() != 2 || x_shape.cols() != w_shape.cols()) {
    return op.Fail("input ", x_shape.ToString(), " and weight ", w_shape.ToString(),
                   " do not match; they have to be [batch, in] and [out, in]");
  }
  if (!op.CheckGradientQuantizer(options.gradient) || !op.CheckGradientQuantizer(options.input_for_weight_gradient)) {
    return op.Failed();
  }
  ExecContext& context = op.context();
  const int64_t k = w_shape.cols();
  std::vector<int64_t> y_dims(x_shape.dims().begin(), x_shape.dims().end());
  y_dims.back() = w_shape.dim(0);
  if (!op.CheckResult(Shape(absl::MakeConstSpan(y_dims)))) return op.Failed();
  const auto shared = std::make_shared<SavedForBackward>(
      SavedForBackward{.x_shape = x_shape, .w_shape = w_shape, .y_shape = Shape(absl::MakeConstSpan(y_dims))});
  SavedForBackward& saved = *shared;
  if (!ReadOperand(op, 0, Shape({x_shape.rows(), k}), saved.x) || !ReadOperand(op, 1, w_shape, saved.w)) {
    return op.Failed();
  }
  if (saved.x.bits() != nullptr && saved.w.bits() != nullptr && k >= kMaxExactFloatInteger) {
    return op.Fail("inner dimension ", k, " is not below 2^24");
  }
  saved.gradient_quantizer = options.gradient.In(QuantizerRole::kGradient);
  saved.gradient_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);
  if (saved.gradient_in_int8()) saved.weight_gradient_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);
  saved.input_for_weight_gradient = options.input_for_weight_gradient.In(QuantizerRole::kGradient);
  if (!saved.input_for_weight_gradient.is_identity()) {
    saved.input_for_weight_gradient_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);
  }

  // dx sums over outputs, dw over examples.
  const int64_t longest_sum = std::max(op.wants(0) && saved.w.bits() != nullptr ? w_shape.rows() : 0,
                                       op.wants(1) && saved.x.bits() != nullptr ? x_shape.rows() : 0);
  if (saved.gradient_in_int8() && longest_sum > kMaxSignGemmS8Inner) {
    return op.Fail("gradient quantizer '", options.gradient.ToString(), "' sums up at most ", kMaxSignGemmS8Inner,
                   " examples or outputs, not those of input ", x_shape.ToString(), " and weight ", w_shape.ToString());
  }
  Tensor y = Product(context, saved);
  op.tape().Count(CountDot(saved.x.encoding, saved.w.encoding, y.num_elements() * k));
  op.tape().Count(CountScaling(saved.x.scale(), saved.w.scale(), y.num_elements()));
  // Sums of bits and codes are exact and cheap, so an op that needs y in its backward pass computes it again rather
  // than keeping it.
  std::shared_ptr<const Recomputation> recompute;
  if (op.training() && saved.KernelOn(context.device()) != DotKernel::kFloatGemm) {
    recompute =
        std::make_shared<const Recomputation>(Recomputation{[shared](ExecContext& c) { return Product(c, *shared); }});
  }
  return op.Record(
      std::move(y), {{"input_for_weight_gradient", saved.input_for_weight_gradient}},
      [shared](Tape::GradientSink& sink) { Backward(*shared, sink); }, std::move(recompute));
}

}  // namespace bitgrad
