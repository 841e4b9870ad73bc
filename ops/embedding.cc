#include "bitgrad/ops/embedding.h"

#include <utility>
#include <vector>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var Embedding(const Var& ids, const Var& table) {
  OpRecorder op("embedding", {ids, table}, /*indices=*/1);
  if (!op.ok()) return op.Failed();
  if (table.shape().rank() != 2) {
    return op.Fail("the table is ", table.shape().ToString(), "; it has to be [vocabulary, width]");
  }
  const int64_t count = ids.shape().num_elements(), rows = table.shape().dim(0), width = table.shape().dim(1);
  std::vector<int64_t> dims(ids.shape().dims().begin(), ids.shape().dims().end());
  dims.push_back(width);
  const Shape y_shape{absl::MakeConstSpan(dims)};
  if (!op.CheckResult(y_shape)) return op.Failed();
  if (op.context().device() == Device::kCpu) {
    for (const int32_t id : op.value(0).span<int32_t>()) {
      if (id < 0 || id >= rows) return op.Fail("id ", id, " is not in [0, ", rows, "), the rows of the table");
    }
  }
  Tensor y = op.NewTensor(y_shape);
  const MatrixView<float> y_rows = {y.mutable_data<float>(), count, width};
  op.kernels().embedding_forward(op.context(), op.value(0).data<int32_t>(), op.value(1).matrix<float>(), y_rows);
  Tensor saved = op.wants(1) ? op.value(0).Alias() : Tensor();
  return op.Record(std::move(y), {}, [count, width, ids = std::move(saved)](Tape::GradientSink& sink) {
    if (!sink.wants(1)) return;
    ExecContext& context = sink.context();
    Tensor rows({count}, DType::kInt32, context.allocator());
    Tensor values = NewTensor(sink, {count, width});
    KernelsOf(sink).embedding_backward(context, ids.data<int32_t>(),
                                       {sink.output_gradient().data<float>(), count, width},
                                       rows.mutable_data<int32_t>(), values.mutable_matrix<float>());
    sink.AddRows(1, std::move(rows), std::move(values));
  });
}

}  // namespace bitgrad
