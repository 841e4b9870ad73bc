#include "bitgrad/ops/reshape.h"

#include <utility>
#include <vector>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var Reshape(const Var& x, Shape shape) {
  OpRecorder op("reshape", {x});
  if (!op.ok()) return op.Failed();
  const int64_t count = x.shape().num_elements();
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  int unknown = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (dims[i] == -1 && unknown < 0) {
      unknown = i;
      dims[i] = 1;
    } else if (dims[i] < 0) {
      return op.Fail("shape ", shape.ToString(), " has more than one -1 or a negative extent");
    }
  }
  const Shape known{absl::MakeConstSpan(dims)};  // It may be invalid, and then its product would overflow.
  if (known.Validate().ok() && unknown >= 0 && known.num_elements() > 0) {
    dims[unknown] = count / known.num_elements();
  }
  const Shape target{absl::MakeConstSpan(dims)};
  if (!target.Validate().ok() || target.num_elements() != count) {
    return op.Fail("shape ", x.shape().ToString(), " of ", count, " elements does not fit into ", shape.ToString());
  }
  return op.Record(op.value(0).Alias(target), {},
                   [from = x.shape()](Tape::GradientSink& sink) { sink.Add(0, sink.output_gradient().Alias(from)); });
}

Var Flatten(const Var& x) {
  const Shape& shape = x.shape();
  if (shape.rank() == 0) return Reshape(x, {1, 1});
  return Reshape(x, {shape.dim(0), Shape(shape.dims().subspan(1)).num_elements()});
}

}  // namespace bitgrad
