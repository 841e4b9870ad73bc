#include "bitgrad/ops/pool.h"

#include <any>
#include <memory>
#include <string>
#include <utility>

#include "bitgrad/core/coded_tensor.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/decode.h"
#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/reshape.h"

namespace bitgrad {
namespace {

// More than any pool needs, and exact as a float, which an average divides by.
constexpr int64_t kMaxWindowElements = kMaxExactFloatInteger;

// REQUIRES: x has rank 4.
PoolGeometry GeometryOf(const Shape& x, const PoolOptions& options) {
  return {.batch = x.dim(0),
          .height = x.dim(1),
          .width = x.dim(2),
          .channels = x.dim(3),
          .kernel_height = options.kernel.height,
          .kernel_width = options.kernel.width,
          .stride_height = options.stride.height,
          .stride_width = options.stride.width,
          .pad_height = options.pad.height,
          .pad_width = options.pad.width,
          .partial = options.partial};
}

// What is wrong with the operand or the options, or nothing.
std::string Misfit(const Shape& x, const PoolOptions& options) {
  if (x.rank() != 4) return absl::StrCat("input ", x.ToString(), " has to be [batch, height, width, channels]");
  if (x.num_elements() == 0) return absl::StrCat("input ", x.ToString(), " is empty");
  const auto pair = [](int64_t height, int64_t width) { return absl::StrCat("[", height, ", ", width, "]"); };
  const std::string kernel = pair(options.kernel.height, options.kernel.width);
  const std::string pad = pair(options.pad.height, options.pad.width);
  for (const int64_t extent :
       {options.kernel.height, options.kernel.width, options.stride.height, options.stride.width}) {
    if (extent >= 1 && extent <= kMaxWindowExtent) continue;
    return absl::StrCat("kernel ", kernel, " and stride ", pair(options.stride.height, options.stride.width),
                        " have to be in [1, ", kMaxWindowExtent, "]");
  }
  if (options.kernel.height * options.kernel.width > kMaxWindowElements) {
    return absl::StrCat("kernel ", kernel, " has more than ", kMaxWindowElements, " elements");
  }
  if (options.pad.height < 0 || options.pad.width < 0 || options.pad.height >= options.kernel.height ||
      options.pad.width >= options.kernel.width) {
    return absl::StrCat("pad ", pad, " has to be at least 0 and smaller than kernel ", kernel,
                        ", so that no window is empty");
  }
  if (options.partial && (options.stride.height + options.pad.height > options.kernel.height ||
                          options.stride.width + options.pad.width > options.kernel.width)) {
    return absl::StrCat("stride ", pair(options.stride.height, options.stride.width), " and pad ", pad,
                        " are together larger than kernel ", kernel, ", so that a partial window may be empty");
  }
  if (x.dim(1) + 2 * options.pad.height < options.kernel.height ||
      x.dim(2) + 2 * options.pad.width < options.kernel.width) {
    return absl::StrCat("input ", x.ToString(), " with pad ", pad, " is smaller than kernel ", kernel);
  }
  return "";
}

Shape InputShape(const PoolGeometry& g) { return {g.batch, g.height, g.width, g.channels}; }
Shape OutputShape(const PoolGeometry& g) { return {g.batch, g.out_height(), g.out_width(), g.channels}; }

}  // namespace

Var MaxPool(const Var& x, const PoolOptions& options) {
  OpRecorder op("max_pool", {x});
  if (!op.ok()) return op.Failed();
  if (const std::string misfit = Misfit(x.shape(), options); !misfit.empty()) return op.Fail(misfit);
  // The op keeps for each output which element of the window was the largest, in a byte.
  const int64_t window = options.kernel.height * options.kernel.width;
  if (op.wants(0) && window > 256) {
    return op.Fail("kernel [", options.kernel.height, ", ", options.kernel.width, "] has ", window,
                   " elements; with more than 256 there is no gradient");
  }
  const PoolGeometry geometry = GeometryOf(x.shape(), options);
  if (!op.CheckResult(OutputShape(geometry))) return op.Failed();
  Tensor y = op.NewTensor(OutputShape(geometry));
  Tensor argmax = op.wants(0) ? op.NewTensor(OutputShape(geometry), DType::kUint8) : Tensor();
  op.kernels().max_pool_forward(op.context(), geometry, op.value(0).data<float>(), y.mutable_data<float>(),
                                argmax.is_null() ? nullptr : argmax.mutable_data<uint8_t>());
  // Where x can be computed again from bits, so can y.
  std::shared_ptr<const Recomputation> recompute;
  if (const int ops = op.RecomputedOps(0); op.training() && ops > 0 && ops < Recomputation::kMaxOps) {
    const auto saved_x = std::make_shared<const SavedValue>(op.Save(0));
    const auto pool_again = [geometry, saved_x](ExecContext& context) {
      const Tensor image = saved_x->Get(context);
      Tensor again(OutputShape(geometry), DType::kFloat32, context.allocator());
      KernelsFor(context.device())
          .max_pool_forward(context, geometry, image.data<float>(), again.mutable_data<float>(), nullptr);
      return again;
    };
    recompute = std::make_shared<const Recomputation>(Recomputation{pool_again, ops + 1});
  }
  return op.Record(
      std::move(y), {{"geometry", std::any(geometry)}},
      [geometry, argmax = std::move(argmax)](Tape::GradientSink& sink) {
        Tensor dx = NewTensor(sink, InputShape(geometry));
        KernelsOf(sink).max_pool_backward(sink.context(), geometry, argmax.data<uint8_t>(),
                                          sink.output_gradient().data<float>(), dx.mutable_data<float>());
        sink.Add(0, std::move(dx));
      },
      std::move(recompute));
}

Var AveragePool(const Var& x, const PoolOptions& options) {
  OpRecorder op("average_pool", {x});
  if (!op.ok()) return op.Failed();
  if (const std::string misfit = Misfit(x.shape(), options); !misfit.empty()) return op.Fail(misfit);
  const PoolGeometry geometry = GeometryOf(x.shape(), options);
  if (!op.CheckResult(OutputShape(geometry))) return op.Failed();
  Tensor y = op.NewTensor(OutputShape(geometry));
  // Counted as if no window reached over the border.
  const int64_t count = y.num_elements(), terms = count * options.kernel.height * options.kernel.width;
  const std::shared_ptr<const CodedTensor> coded = op.coded(0);
  if (coded != nullptr && coded->scale_view().is_uniform() && SumIsExact(coded->encoding, geometry)) {
    const MatrixView<float> means(y.mutable_data<float>(), geometry.pixels(), geometry.channels);
    op.kernels().average_pool_codes(op.context(), geometry, coded->encoding,
                                    StoredCodes(op.context(), *coded).data<uint8_t>(),
                                    {.floats = means, .scale = coded->scale_view()});
    op.tape().Count({.float_multiplications = count, .integer_additions = terms});
  } else {
    op.kernels().average_pool_forward(op.context(), geometry, op.value(0).data<float>(), y.mutable_data<float>());
    op.tape().Count({.float_multiplications = count, .float_additions = terms});
  }
  return op.Record(std::move(y), {{"geometry", std::any(geometry)}}, [geometry, terms](Tape::GradientSink& sink) {
    Tensor dx = NewTensor(sink, InputShape(geometry));
    KernelsOf(sink).average_pool_backward(sink.context(), geometry, sink.output_gradient().data<float>(),
                                          dx.mutable_data<float>());
    sink.Count({.float_multiplications = terms, .float_additions = terms});
    sink.Add(0, std::move(dx));
  });
}

Var GlobalAveragePool(const Var& x) {
  const Shape& shape = x.shape();
  PoolOptions whole{.stride = 1};
  // For another rank AveragePool reports what is wrong.
  if (shape.rank() == 4) whole.kernel = {shape.dim(1), shape.dim(2)};
  return Flatten(AveragePool(x, whole));
}

}  // namespace bitgrad
