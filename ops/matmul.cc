#include "bitgrad/ops/matmul.h"

#include <utility>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var MatMul(const Var& a, const Var& b) {
  OpRecorder op("matmul", {a, b});
  if (!op.ok()) return op.Failed();
  if (a.shape().rank() != 2 || b.shape().rank() != 2 || a.shape().dim(1) != b.shape().dim(0)) {
    return op.Fail("shapes ", a.shape().ToString(), " and ", b.shape().ToString(),
                   " do not multiply; they have to be [m, k] and [k, n]");
  }
  const int64_t m = a.shape().dim(0), k = a.shape().dim(1), n = b.shape().dim(1);
  if (!op.CheckResult({m, n})) return op.Failed();
  Tensor c = op.NewTensor({m, n});
  op.kernels().gemm_f32(op.context(), false, false, 1.0f, op.value(0).matrix<float>(), op.value(1).matrix<float>(),
                        0.0f, c.mutable_matrix<float>());
  const ArithmeticCounts macs = {.float_multiplications = m * n * k, .float_additions = m * n * k};
  op.tape().Count(macs);
  Tensor saved_a = op.wants(1) ? op.value(0).Alias() : Tensor();
  Tensor saved_b = op.wants(0) ? op.value(1).Alias() : Tensor();
  return op.Record(
      std::move(c), {}, [m, n, k, macs, a = std::move(saved_a), b = std::move(saved_b)](Tape::GradientSink& sink) {
        const Kernels& kernels = KernelsOf(sink);
        const ConstMatrixView<float> dc = sink.output_gradient().matrix<float>();
        if (sink.wants(0)) {
          Tensor da = NewTensor(sink, {m, k});
          kernels.gemm_f32(sink.context(), false, true, 1.0f, dc, b.matrix<float>(), 0.0f, da.mutable_matrix<float>());
          sink.Count(macs);
          sink.Add(0, std::move(da));
        }
        if (sink.wants(1)) {
          Tensor db = NewTensor(sink, {k, n});
          kernels.gemm_f32(sink.context(), true, false, 1.0f, a.matrix<float>(), dc, 0.0f, db.mutable_matrix<float>());
          sink.Count(macs);
          sink.Add(1, std::move(db));
        }
      });
}

}  // namespace bitgrad
