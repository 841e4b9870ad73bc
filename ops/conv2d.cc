#include "bitgrad/ops/conv2d.h"

#include <memory>
#include <optional>
#include <utility>

#include "bitgrad/ops/coded_product.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/quantize_operand.h"

namespace bitgrad {
namespace {

// What the op keeps for the backward pass: operands, as bits or stored codes where they have any, masks and shapes.
// Images are kept as matrices [N, H*W*C], filters as [O, R*S*C/G].
struct SavedForBackward {
  ConvGeometry geometry;
  Shape x_shape, w_shape, y_shape;
  Shape image_rows, filter_rows;
  QuantizedOperand x, w;
  Surrogate x_surrogate, w_surrogate;
  Quantizer gradient_quantizer;
  RngStream gradient_rng;
  int32_t border_code = 0;

  ConvKernel kernel() const { return ChooseConvKernel(x.encoding, w.encoding, geometry); }
  // The value of the border among x's codes, as a float.
  float border() const {
    if (x.encoding.is_integer()) return static_cast<float>(border_code);
    return geometry.padding == Padding::kPlusOne ? 1.0f : -1.0f;
  }
};

// The stored codes of an operand of integers. Those that are kept as bits are expanded.
Tensor StoredCodes(ExecContext& context, const QuantizedOperand& operand, const Shape& shape) {
  if (operand.bits == nullptr) return operand.codes.Alias();
  const Tensor floats = FloatCodes(context, operand, shape);
  Tensor codes(shape, DType::kUint8, context.allocator());
  KernelsFor(context.device())
      .pack_codes(context, operand.encoding, floats.matrix<float>(), codes.mutable_matrix<uint8_t>());
  return codes;
}

// conv(c_x, c_w) * scale
Tensor Product(ExecContext& context, const SavedForBackward& saved) {
  const QuantizedOperand &x = saved.x, &w = saved.w;
  const Kernels& kernels = KernelsFor(context.device());
  Tensor y(saved.y_shape, DType::kFloat32, context.allocator());
  const ProductScale scale(x, w);
  const DotOutput out = {.floats = y.mutable_matrix<float>(), .scale = scale.for_kernel()};
  switch (saved.kernel()) {
    case ConvKernel::kXnorPopcount:
      kernels.packed_conv2d(context, saved.geometry, x.bits->view(), w.bits->view(), out);
      scale.Finish(context, y);
      break;
    case ConvKernel::kCodes: {
      const Tensor codes = StoredCodes(context, x, saved.image_rows);
      std::optional<CodePlanes> packed;
      if (w.bits == nullptr) packed.emplace(context, ConstCodesView{w.encoding, w.codes.matrix<uint8_t>()});
      kernels.coded_conv2d(context, saved.geometry, {x.encoding, codes.matrix<uint8_t>()},
                           packed ? packed->view() : BinaryPlanes(w.bits->view()), saved.border_code, out);
      scale.Finish(context, y);
      break;
    }
    case ConvKernel::kFloat: {
      const Tensor x_codes = FloatCodes(context, x, saved.image_rows);
      const Tensor w_codes = FloatCodes(context, w, saved.filter_rows);
      FloatConvolution(context, saved.geometry, saved.border(), x_codes.data<float>(), w_codes.data<float>(),
                       y.mutable_data<float>());
      scale.Apply(context, y);
      break;
    }
  }
  return y;
}

// Multiplies the gradient of a quantized operand with the surrogate. The operand was quantized as a matrix of shape
// `rows`; the result has the operand's own shape.
Tensor ThroughSurrogate(Tape::GradientSink& sink, const Surrogate& surrogate, Tensor gradient, const Shape& rows,
                        const Shape& shape) {
  if (surrogate.passes()) return gradient.Alias(shape);
  Tensor matrix = gradient.Alias(rows);
  gradient = Tensor();  // The surrogate works in place only where nobody else holds the gradient.
  return surrogate.Apply(sink.context(), std::move(matrix)).Alias(shape);
}

Tensor InputGradient(Tape::GradientSink& sink, const SavedForBackward& saved, const Tensor& dy) {
  ExecContext& context = sink.context();
  const Tensor codes = FloatCodes(context, saved.w, saved.filter_rows);
  Tensor dx = NewTensor(sink, saved.x_shape);
  // The border is constant: whatever its value, it takes no gradient.
  ConvGeometry geometry = saved.geometry;
  geometry.padding = Padding::kZero;
  KernelsOf(sink).conv2d_backward_input_f32(context, geometry, dy.data<float>(), codes.data<float>(),
                                            dx.mutable_data<float>());
  ProductScale(saved.w).Apply(context, dx);
  return ThroughSurrogate(sink, saved.x_surrogate, std::move(dx), saved.image_rows, saved.x_shape);
}

Tensor WeightGradient(Tape::GradientSink& sink, const SavedForBackward& saved, const Tensor& dy) {
  ExecContext& context = sink.context();
  const Kernels& kernels = KernelsOf(sink);
  const ConvGeometry& geometry = saved.geometry;
  const Tensor codes = FloatCodes(context, saved.x, saved.image_rows);
  Tensor dw = NewTensor(sink, saved.w_shape);
  if (geometry.padding == Padding::kZero || !geometry.has_border()) {
    kernels.conv2d_backward_weight_f32(context, geometry, codes.data<float>(), dy.data<float>(),
                                       dw.mutable_data<float>());
  } else {
    const ConvGeometry padded = WithBorderInImage(geometry);
    Tensor image = NewTensor(sink, {padded.batch, padded.height, padded.width, padded.channels});
    kernels.pad_image_f32(context, geometry, saved.border(), codes.data<float>(), image.mutable_data<float>());
    kernels.conv2d_backward_weight_f32(context, padded, image.data<float>(), dy.data<float>(),
                                       dw.mutable_data<float>());
  }
  ProductScale(saved.x).Apply(context, dw);
  return ThroughSurrogate(sink, saved.w_surrogate, std::move(dw), saved.filter_rows, saved.w_shape);
}

// For quantizers that have a scale for each row, a row is an example.
Tensor QuantizeGradient(ExecContext& context, const SavedForBackward& saved, const Tensor& dy) {
  const Quantizer& quantizer = saved.gradient_quantizer;
  const int64_t batch = saved.geometry.batch;
  const Tensor rows = dy.Alias({batch, dy.num_elements() / batch});
  const Tensor statistic = ComputeStatistic(context, quantizer, rows);
  Tensor quantized(rows.shape(), DType::kFloat32, context.allocator());
  KernelsFor(context.device())
      .quantize_values(context, quantizer, rows.matrix<float>(), StatisticData(statistic), saved.gradient_rng,
                       quantized.mutable_matrix<float>());
  return quantized.Alias(dy.shape());
}

void Backward(const SavedForBackward& saved, Tape::GradientSink& sink) {
  const Tensor dy = saved.gradient_quantizer.is_identity()
                        ? sink.output_gradient().Alias()
                        : QuantizeGradient(sink.context(), saved, sink.output_gradient());
  const Encoding gradient = saved.gradient_quantizer.encoding();
  const int64_t macs = saved.geometry.macs();
  if (sink.wants(0)) {
    sink.Add(0, InputGradient(sink, saved, dy));
    sink.Count(CountDot(gradient, saved.w.encoding, macs));
  }
  if (sink.wants(1)) {
    sink.Add(1, WeightGradient(sink, saved, dy));
    sink.Count(CountDot(gradient, saved.x.encoding, macs));
  }
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

Var Convolution(const Var& x, const Var& w, const ConvOptions& options, const LinearQuantizers& quantizers) {
  OpRecorder op("conv2d", {x, w});
  if (!op.ok()) return op.Failed();
  const Shape x_shape = x.shape(), w_shape = w.shape();
  if (x_shape.rank() != 4 || w_shape.rank() != 4) return op.Fail(Misfit(x_shape, w_shape, options));
  const ConvGeometry geometry = GeometryOf(x_shape, w_shape, options);
  if (const absl::Status status = CheckConvGeometry(geometry); !status.ok()) return op.Fail(status.message());
  if (w_shape.dim(3) != geometry.group_channels()) return op.Fail(Misfit(x_shape, w_shape, options));
  for (const Quantizer* q : {&quantizers.input, &quantizers.weight, &quantizers.gradient}) {
    if (!op.CheckQuantizer(*q)) return op.Failed();
  }
  for (const Quantizer* q : {&quantizers.input, &quantizers.weight}) {
    if (q->statistic() == Statistic::kRowMaxAbs) {
      return op.Fail("quantizer '", q->ToString(), "' has a scale for each row; it is for gradients");
    }
  }
  if (quantizers.gradient.encoding().kind == EncodingKind::kSigned) {
    return op.Fail("gradient quantizer '", quantizers.gradient.ToString(),
                   "' makes products of int8, which are for linear layers only; use dorefa_gradient here");
  }
  const Shape y_shape({geometry.batch, geometry.out_height(), geometry.out_width(), geometry.filters});
  const ConvGeometry padded = WithBorderInImage(geometry);  // Some kernels make a copy of the image with its border.
  if (!op.CheckResult(y_shape) || !op.CheckResult({padded.batch, padded.height, padded.width, padded.channels})) {
    return op.Failed();
  }
  ExecContext& context = op.context();
  const bool training = op.training();
  const Quantizer input = training ? quantizers.input : quantizers.input.AtEvaluation(QuantizerRole::kActivation);
  const Quantizer weight = training ? quantizers.weight : quantizers.weight.AtEvaluation(QuantizerRole::kWeight);

  const auto shared = std::make_shared<SavedForBackward>(SavedForBackward{
      .geometry = geometry,
      .x_shape = x_shape,
      .w_shape = w_shape,
      .y_shape = y_shape,
      .image_rows = Shape({geometry.batch, geometry.height * geometry.width * geometry.channels}),
      .filter_rows = Shape({geometry.filters, geometry.patch_size()}),
  });
  SavedForBackward& saved = *shared;
  const RngStream x_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);
  Surrogate* const x_surrogate = op.wants(0) ? &saved.x_surrogate : nullptr;
  const auto pending = std::dynamic_pointer_cast<const PendingBatchNorm>(op.pending(0));
  if (pending != nullptr && NeedsOnlySigns(input)) {
    saved.x = QuantizePending(context, input, *pending, saved.image_rows, x_surrogate);
  } else {
    saved.x = QuantizeOperand(context, input, QuantizerRole::kActivation, op.value(0).Alias(saved.image_rows), x_rng,
                              x_surrogate);
  }
  saved.w = QuantizeOperand(context, weight, QuantizerRole::kWeight, op.value(1).Alias(saved.filter_rows),
                            op.tape().NextRandomStream(RngPurpose::kQuantizer),
                            op.wants(1) ? &saved.w_surrogate : nullptr, op.parameter(1));
  saved.gradient_quantizer = quantizers.gradient;
  saved.gradient_rng = op.tape().NextRandomStream(RngPurpose::kQuantizer);
  if (saved.x.encoding.is_integer() && geometry.has_border() &&
      !BorderCode(saved.x.encoding, saved.x.scale, options.padding, &saved.border_code)) {
    return op.Fail("a border of ", options.padding == Padding::kPlusOne ? "+1" : "-1",
                   " is no value of input quantizer '", input.ToString(), "', whose values are multiples of ",
                   saved.x.scale, "; pad with zero");
  }

  if (const BitMatrix& window = saved.x_surrogate.window(); !window.is_null()) {
    op.kernels().count_ones(context, window.view(), op.tape().Observe(window.rows() * window.cols()));
  }
  Tensor y = Product(context, saved);
  op.tape().Count(CountDot(saved.x.encoding, saved.w.encoding, geometry.macs()));
  std::shared_ptr<const Recomputation> recompute;
  if (training && saved.kernel() != ConvKernel::kFloat) {
    recompute =
        std::make_shared<const Recomputation>(Recomputation{[shared](ExecContext& c) { return Product(c, *shared); }});
  }
  return op.Record(
      std::move(y),
      {{"input_quantizer", input.ToString()},
       {"weight_quantizer", weight.ToString()},
       {"stride_height", geometry.stride_height},
       {"stride_width", geometry.stride_width},
       {"pad_height", geometry.pad_height},
       {"pad_width", geometry.pad_width},
       {"dilation_height", geometry.dilation_height},
       {"dilation_width", geometry.dilation_width},
       {"groups", geometry.groups},
       {"padding", static_cast<int64_t>(geometry.padding)}},
      [shared](Tape::GradientSink& sink) { Backward(*shared, sink); }, std::move(recompute));
}

}  // namespace bitgrad
