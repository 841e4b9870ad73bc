#include "bitgrad/ops/conv2d.h"

#include <any>
#include <memory>
#include <optional>
#include <utility>

#include "bitgrad/ops/coded_product.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/product_operand.h"

namespace bitgrad {
namespace {

// What the op keeps for the backward pass: operands, as bits or stored codes where they have any, and shapes.
// Images are kept as matrices [N, H*W*C], filters as [O, R*S*C/G].
struct SavedForBackward {
  ConvGeometry geometry;
  Shape x_shape, w_shape, y_shape;
  ProductOperand x, w;
  Quantizer gradient_quantizer;
  RngStream gradient_rng;
  Quantizer input_for_weight_gradient;
  RngStream input_for_weight_gradient_rng;
  int32_t border_code = 0;

  ConvKernel kernel() const { return ChooseConvKernel(x.encoding, w.encoding, geometry); }
  // The value of a border that is not 0, among x's codes and among values.
  float border() const { return x.encoding.is_integer() ? static_cast<float>(border_code) : border_value(); }
  float border_value() const { return geometry.padding == Padding::kPlusOne ? 1.0f : -1.0f; }
};

// The stored codes of an operand of integers. Those that are kept as bits are expanded.
Tensor StoredCodes(ExecContext& context, const ProductOperand& operand) {
  if (operand.bits() == nullptr) return operand.coded->codes.Alias();
  const Tensor floats = operand.Terms(context);
  Tensor codes(floats.shape(), DType::kUint8, context.allocator());
  KernelsFor(context.device())
      .pack_codes(context, operand.encoding, floats.matrix<float>(), codes.mutable_matrix<uint8_t>());
  return codes;
}

// conv(c_x, c_w) * scale
Tensor Product(ExecContext& context, const SavedForBackward& saved) {
  const ProductOperand &x = saved.x, &w = saved.w;
  const Kernels& kernels = KernelsFor(context.device());
  Tensor y(saved.y_shape, DType::kFloat32, context.allocator());
  const ProductScale scale(context, x.scale(), w.scale(), saved.geometry.filters);
  const DotOutput out = {.floats = y.mutable_matrix<float>(), .scale = scale.view()};
  switch (saved.kernel()) {
    case ConvKernel::kXnorPopcount:
      kernels.packed_conv2d(context, saved.geometry, x.bits()->view(), w.bits()->view(), out);
      break;
    case ConvKernel::kCodes: {
      const Tensor codes = StoredCodes(context, x);
      std::optional<CodePlanes> packed;
      if (w.bits() == nullptr) packed.emplace(context, ConstCodesView{w.encoding, w.coded->codes.matrix<uint8_t>()});
      kernels.coded_conv2d(context, saved.geometry, {x.encoding, codes.matrix<uint8_t>()},
                           packed ? packed->view() : BinaryPlanes(w.bits()->view()), saved.border_code, out);
      break;
    }
    case ConvKernel::kFloat: {
      const Tensor x_terms = x.Terms(context), w_terms = w.Terms(context);
      FloatConvolution(context, saved.geometry, saved.border(), x_terms.data<float>(), w_terms.data<float>(),
                       y.mutable_data<float>());
      ScaleOutputs(context, scale.view(), y);
      break;
    }
  }
  return y;
}

// dx = conv'_x(dy s_w, c_w). A scale for each filter changes dy in place, where nobody else holds it.
Tensor InputGradient(Tape::GradientSink& sink, const SavedForBackward& saved, Tensor dy) {
  ExecContext& context = sink.context();
  const ScaleView scale = saved.w.scale();
  if (!scale.is_uniform()) dy = ScaledGradient(context, scale, std::move(dy));
  const Tensor terms = saved.w.Terms(context);
  Tensor dx = NewTensor(sink, saved.x_shape);
  // The border is constant: whatever its value, it takes no gradient.
  ConvGeometry geometry = saved.geometry;
  geometry.padding = Padding::kZero;
  KernelsOf(sink).conv2d_backward_input_f32(context, geometry, dy.data<float>(), terms.data<float>(),
                                            dx.mutable_data<float>());
  if (scale.is_uniform()) ScaleOutputs(context, scale, dx);
  return dx;
}

// dw = conv'_w(dy, c_x) s_x, or conv'_w(dy, q_b(x))
Tensor WeightGradient(Tape::GradientSink& sink, const SavedForBackward& saved, const Tensor& dy) {
  ExecContext& context = sink.context();
  const Kernels& kernels = KernelsOf(sink);
  const ConvGeometry& geometry = saved.geometry;
  // The border is no input: it stays what it is.
  float border = saved.border();
  ProductOperand quantized;
  const ProductOperand* x = &saved.x;
  if (!saved.input_for_weight_gradient.is_identity()) {
    quantized =
        InputForWeightGradient(context, saved.input_for_weight_gradient, saved.input_for_weight_gradient_rng, saved.x);
    x = &quantized;
    border = saved.border_value();
  }
  const Tensor terms = x->Terms(context);
  Tensor dw = NewTensor(sink, saved.w_shape);
  if (geometry.padding == Padding::kZero || !geometry.has_border()) {
    kernels.conv2d_backward_weight_f32(context, geometry, terms.data<float>(), dy.data<float>(),
                                       dw.mutable_data<float>());
  } else {
    const ConvGeometry padded = WithBorderInImage(geometry);
    Tensor image = NewTensor(sink, {padded.batch, padded.height, padded.width, padded.channels});
    kernels.pad_image_f32(context, geometry, border, terms.data<float>(), image.mutable_data<float>());
    kernels.conv2d_backward_weight_f32(context, padded, image.data<float>(), dy.data<float>(),
                                       dw.mutable_data<float>());
  }
  ScaleOutputs(context, x->scale(), dw);
  return dw;
}

// For quantizers that have a scale for each row, a row is an example.
Tensor QuantizeGradient(ExecContext& context, const SavedForBackward& saved, const Tensor& dy) {
  const int64_t batch = saved.geometry.batch;
  return QuantizedValues(context, saved.gradient_quantizer, saved.gradient_rng,
                         dy.Alias({batch, dy.num_elements() / batch}))
      .Alias(dy.shape());
}

void Backward(const SavedForBackward& saved, Tape::GradientSink& sink) {
  Tensor dy = sink.TakeOutputGradient();
  if (!saved.gradient_quantizer.is_identity()) dy = QuantizeGradient(sink.context(), saved, dy);
  const Encoding gradient = saved.gradient_quantizer.encoding();
  const int64_t macs = saved.geometry.macs();
  sink.Count(CountGradientQuantizer(saved.gradient_quantizer, dy.num_elements()));
  const auto add_weight_gradient = [&] {
    if (!sink.wants(1)) return;
    sink.Add(1, WeightGradient(sink, saved, dy));
    if (saved.input_for_weight_gradient.is_identity()) {
      sink.Count(CountDot(gradient, saved.x.encoding, macs));
      sink.Count(CountScaling(saved.x.scale(), saved.w_shape.num_elements()));
    } else {
      sink.Count(CountDot(gradient, saved.input_for_weight_gradient.encoding(), macs));
      sink.Count(CountGradientQuantizer(saved.input_for_weight_gradient, saved.x_shape.num_elements()));
    }
  };
  // Whoever changes dy in place comes last.
  const bool changes_dy = !saved.w.scale().is_uniform();
  if (changes_dy) add_weight_gradient();
  if (sink.wants(0)) {
    sink.Add(0, InputGradient(sink, saved, changes_dy ? std::move(dy) : dy.Alias()));
    sink.Count(CountDot(gradient, saved.w.encoding, macs));
    sink.Count(CountScaling(saved.w.scale(), saved.x_shape.num_elements()));
  }
  if (!changes_dy) add_weight_gradient();
}

ConvGeometry GeometryOf(const Shape& x, const Shape& w, const ConvOptions& options) {
  return {.batch = x.dim(0),
          .height = x.dim(1),
          .width = x.dim(2),
          .channels = x.dim(3),
          .filters = w.dim(0),
          .kernel_height = w.dim(1),
          .kernel_width = w.dim(2),
          .stride_height = options.stride.height,
          .stride_width = options.stride.width,
          .pad_height = options.pad.height,
          .pad_width = options.pad.width,
          .dilation_height = options.dilation.height,
          .dilation_width = options.dilation.width,
          .groups = options.groups,
          .padding = options.padding};
}

std::string Misfit(const Shape& x, const Shape& w, const ConvOptions& options) {
  return absl::StrCat("input ", x.ToString(), " and weight ", w.ToString(), " in ", options.groups,
                      " groups do not match; they have to be [batch, height, width, channels] and [filters, height, "
                      "width, channels / groups]");
}

}  // namespace

Var Convolution(const Var& x, const Var& w, const ConvOptions& options, const ProductOptions& product) {
  OpRecorder op("conv2d", {x, w});
  if (!op.ok()) return op.Failed();
  const Shape x_shape = x.shape(), w_shape = w.shape();
  if (x_shape.rank() != 4 || w_shape.rank() != 4) return op.Fail(Misfit(x_shape, w_shape, options));
  const ConvGeometry geometry = GeometryOf(x_shape, w_shape, options);
  if (const absl::Status status = CheckConvGeometry(geometry); !status.ok()) return op.Fail(status.message());
  if (w_shape.dim(3) != geometry.group_channels()) return op.Fail(Misfit(x_shape, w_shape, options));
  if (!op.CheckGradientQuantizer(product.gradient) || !op.CheckGradientQuantizer(product.input_for_weight_gradient)) {
    return op.Failed();
  }
  if (product.gradient.encoding().kind == EncodingKind::kSigned) {
    return op.Fail("gradient quantizer '", product.gradient.ToString(),
                   "' makes products of int8, which are for linear layers only; use dorefa_gradient here");
  }
  const Shape y_shape({geometry.batch, geometry.out_height(), geometry.out_width(), geometry.filters});
  const ConvGeometry padded = WithBorderInImage(geometry);  // Some kernels make a copy of the image with its border.
  if (!op.CheckResult(y_shape) || !op.CheckResult({padded.batch, padded.height, padded.width, padded.channels})) {
    return op.Failed();
  }
  ExecContext& context = op.context();
  const auto shared = std::make_shared<SavedForBackward>(
      SavedForBackward{.geometry = geometry, .x_shape = x_shape, .w_shape = w_shape, .y_shape = y_shape});
  SavedForBackward& saved = *shared;
  const Shape image_rows({geometry.batch, geometry.height * geometry.width * geometry.channels});
  const Shape filter_rows({geometry.filters, geometry.patch_size()});
  if (!ReadOperand(op, 0, image_rows, saved.x) || !ReadOperand(op, 1, filter_rows, saved.w)) return op.Failed();
  saved.gradient_quantizer = product.gradient.In(QuantizerRole::kGradient);
  saved.gradient_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);
  saved.input_for_weight_gradient = product.input_for_weight_gradient.In(QuantizerRole::kGradient);
  if (!saved.input_for_weight_gradient.is_identity()) {
    saved.input_for_weight_gradient_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);
  }
  if (saved.x.encoding.is_integer() && geometry.has_border()) {
    const char* const border = options.padding == Padding::kPlusOne ? "+1" : "-1";
    const ScaleView scale = saved.x.scale();
    if (options.padding != Padding::kZero && !scale.is_constant()) {
      return op.Fail("a border of ", border, " needs an input whose scale is fixed; pad with zero");
    }
    if (!BorderCode(saved.x.encoding, scale.factor, options.padding, &saved.border_code)) {
      return op.Fail("a border of ", border, " is no value of the quantized input, whose values are multiples of ",
                     scale.factor, "; pad with zero");
    }
  }
  Tensor y = Product(context, saved);
  op.tape().Count(CountDot(saved.x.encoding, saved.w.encoding, geometry.macs()));
  op.tape().Count(CountScaling(saved.x.scale(), saved.w.scale(), y.num_elements()));
  std::shared_ptr<const Recomputation> recompute;
  if (op.training() && saved.kernel() != ConvKernel::kFloat) {
    recompute =
        std::make_shared<const Recomputation>(Recomputation{[shared](ExecContext& c) { return Product(c, *shared); }});
  }
  return op.Record(
      std::move(y),
      {{"geometry", std::any(geometry)}, {"input_for_weight_gradient", std::any(saved.input_for_weight_gradient)}},
      [shared](Tape::GradientSink& sink) { Backward(*shared, sink); }, std::move(recompute));
}

}  // namespace bitgrad
