// OpRecorder: what every differentiable op does around its kernels: find the tape, check operands, get output
// memory, record the node.
//
//   Var Relu(const Var& x) {
//     OpRecorder op("relu", {x});
//     if (!op.ok()) return op.Failed();
//     Tensor y = op.NewTensor(x.shape());
//     op.kernels().unary_forward(op.context(), Unary::kRelu, ...);
//     return op.Record(std::move(y), {}, [...](Tape::GradientSink& sink) { ... });
//   }

#ifndef BITGRAD_OPS_OP_RECORDER_H_
#define BITGRAD_OPS_OP_RECORDER_H_

#include <memory>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {

class OpRecorder {
 public:
  // `op` is a string literal. Operands of a failed op, of another tape or of none fail this op too.
  OpRecorder(absl::string_view op, std::initializer_list<Var> inputs)
      : OpRecorder(op, absl::MakeConstSpan(inputs.begin(), inputs.size())) {}
  OpRecorder(absl::string_view op, absl::Span<const Var> inputs);

  bool ok() const { return ok_; }
  Var Failed();
  // Reports InvalidArgument "op: message"; the op returns its result.
  template <typename... Parts>
  Var Fail(const Parts&... parts) {
    tape_->ReportError(absl::InvalidArgumentError(absl::StrCat(op_, ": ", parts...)));
    return Failed();
  }

  Tape& tape() { return *tape_; }
  ExecContext& context() { return tape_->context(); }
  bool training() const { return tape_->training(); }
  const Kernels& kernels() const { return *kernels_; }
  // REQUIRES: ok(). Valid until Record().
  const Tensor& value(int input) const { return tape_->ValueOf(inputs_[input].index()); }
  // What the input's value will be made of, or null where it exists.
  std::shared_ptr<const PendingValue> pending(int input) const {
    return tape_->nodes()[inputs_[input].index()].pending;
  }
  // Whether a gradient will be wanted for the input: if not, backward needs nothing saved for it.
  bool wants(int input) const { return training() && tape_->nodes()[inputs_[input].index()].requires_gradient; }

  // Whether Save() keeps less than the value itself.
  bool IsRecomputable(int input) const { return tape_->nodes()[inputs_[input].index()].recompute != nullptr; }
  // The input's value for the backward function to keep. REQUIRES: as value().
  SavedValue Save(int input) const {
    const Tape::Node& node = tape_->nodes()[inputs_[input].index()];
    return node.recompute == nullptr ? SavedValue(value(input).Alias()) : SavedValue(node.recompute);
  }

  Tensor NewTensor(const Shape& shape, DType dtype = DType::kFloat32) {
    return Tensor(shape, dtype, context().allocator());
  }

  Var Record(Tensor value, absl::InlinedVector<Attribute, 1> attributes, Tape::BackwardFunction backward,
             std::shared_ptr<const RecomputeFunction> recompute = nullptr);

  Var RecordPending(const Shape& shape, std::shared_ptr<const PendingValue> pending, Tape::BackwardFunction backward);

 private:
  absl::string_view op_;
  absl::InlinedVector<Var, 3> inputs_;
  Tape* tape_ = nullptr;
  const Kernels* kernels_ = nullptr;
  bool ok_ = false;
};

// A tensor of the backward pass.
inline Tensor NewTensor(Tape::GradientSink& sink, const Shape& shape) {
  return Tensor(shape, DType::kFloat32, sink.context().allocator());
}

inline const Kernels& KernelsOf(Tape::GradientSink& sink) { return KernelsFor(sink.context().device()); }

}  // namespace bitgrad

#endif  // BITGRAD_OPS_OP_RECORDER_H_
