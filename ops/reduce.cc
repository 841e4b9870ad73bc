#include "bitgrad/ops/reduce.h"

#include <utility>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {
namespace {

Var ScaledSum(OpRecorder& op, const Shape& shape, float scale) {
  const int64_t count = shape.num_elements();
  Tensor y = op.NewTensor({});
  op.kernels().sum_all(op.context(), op.value(0).data<float>(), count, scale, y.mutable_data<float>());
  op.tape().Count({.float_additions = count});
  return op.Record(std::move(y), {}, [shape, count, scale](Tape::GradientSink& sink) {
    const Kernels& kernels = KernelsOf(sink);
    Tensor dx = NewTensor(sink, shape);
    kernels.fill_f32(sink.context(), scale, dx.mutable_data<float>(), count);
    // dy is one number in the device's memory. As a matrix whose rows, of one element, have stride 0, it multiplies
    // every row of dx.
    kernels.binary_forward(sink.context(), Binary::kMul, {dx.data<float>(), count, 1},
                           {sink.output_gradient().data<float>(), count, 1, 0}, {dx.mutable_data<float>(), count, 1});
    sink.Add(0, std::move(dx));
  });
}

}  // namespace

Var Sum(const Var& x, float factor) {
  OpRecorder op("sum", {x});
  if (!op.ok()) return op.Failed();
  return ScaledSum(op, x.shape(), factor);
}

Var Mean(const Var& x) {
  OpRecorder op("mean", {x});
  if (!op.ok()) return op.Failed();
  if (x.shape().num_elements() == 0) return op.Fail("shape ", x.shape().ToString(), " is empty");
  return ScaledSum(op, x.shape(), 1.0f / static_cast<float>(x.shape().num_elements()));
}

}  // namespace bitgrad
