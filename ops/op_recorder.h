// OpRecorder: what every differentiable op does around its kernels: it finds the tape, checks whatever the kernels will
// read, gets memory for the output and records the node. Kernels check nothing, so an op calls them only after the
// checks here have passed:
//
//   - the constructor checks the Vars: each is of this tape, has a value, and that is float32, or int32 for
//     indices, on the context's device;
//   - CheckTensor() checks a tensor that the op takes beside its Vars (labels, targets, running statistics);
//   - CheckGradientQuantizer() checks a quantizer of the backward pass;
//   - CheckResult() checks the shape of a result that may have more elements than each operand has.
//
// Relations between shapes are the op's own to check.
//
//   Var MatMul(const Var& a, const Var& b) {
//     OpRecorder op("matmul", {a, b});
//     if (!op.ok()) return op.Failed();
//     if (... the shapes do not multiply) return op.Fail("shapes ", ...);
//     if (!op.CheckResult({m, n})) return op.Failed();
//     Tensor c = op.NewTensor({m, n});
//     op.kernels().gemm_f32(op.context(), ...);
//     return op.Record(std::move(c), {}, [...](Tape::GradientSink& sink) { ... });
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
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

class OpRecorder {
 public:
  // `op` is a string literal. Operands of a failed op, of another tape or of none fail this op too.
  // The first `indices` operands have to be int32.
  OpRecorder(absl::string_view op, std::initializer_list<Var> inputs, int indices = 0)
      : OpRecorder(op, absl::MakeConstSpan(inputs.begin(), inputs.size()), indices) {}
  OpRecorder(absl::string_view op, absl::Span<const Var> inputs, int indices = 0);

  bool ok() const { return ok_; }
  Var Failed();
  // Reports InvalidArgument "op: message"; the op returns its result.
  template <typename... Parts>
  Var Fail(const Parts&... parts) {
    tape_->ReportError(absl::InvalidArgumentError(absl::StrCat(op_, ": ", parts...)));
    return Failed();
  }

  // Whether kernels can take the tensor: `dtype`, `shape`, on the context's device or, with `or_host`, in the host's
  // memory, from where the op copies it. Otherwise reports "op: what is ..".
  bool CheckTensor(absl::string_view what, const Tensor& tensor, const Shape& shape, DType dtype = DType::kFloat32,
                   bool or_host = false);
  // Whether a quantizer can be what the product's backward pass quantizes with. Otherwise reports why not.
  bool CheckGradientQuantizer(const Quantizer& quantizer);
  // Whether there can be a tensor of this shape (Shape::Validate). Otherwise reports it.
  bool CheckResult(const Shape& shape);

  Tape& tape() { return *tape_; }
  ExecContext& context() { return tape_->context(); }
  bool training() const { return tape_->training(); }
  const Kernels& kernels() const { return *kernels_; }
  // REQUIRES: ok(). Valid until Record().
  const Tensor& value(int input) const { return tape_->ValueOf(inputs_[input].index()); }
  // The parameter that the input is, or null.
  Parameter* parameter(int input) const { return tape_->nodes()[inputs_[input].index()].parameter; }
  // What the input's value will be made of, or null where it exists.
  const PendingValue* pending(int input) const { return tape_->nodes()[inputs_[input].index()].pending.get(); }
  // The input's codes, or null where it is not quantized.
  std::shared_ptr<const CodedTensor> coded(int input) const { return tape_->nodes()[inputs_[input].index()].coded; }
  // What the input was quantized to; float where it was not.
  Encoding encoding(int input) const;
  // Whether a gradient will be wanted for the input: if not, backward needs nothing saved for it.
  bool wants(int input) const { return training() && tape_->nodes()[inputs_[input].index()].requires_gradient; }

  // How many ops it takes to make the input's value again; 0 where Save() keeps the value itself.
  int RecomputedOps(int input) const {
    const auto& recompute = tape_->nodes()[inputs_[input].index()].recompute;
    return recompute == nullptr ? 0 : recompute->ops;
  }
  // The input's value for the backward function to keep. REQUIRES: as value().
  SavedValue Save(int input) const {
    const Tape::Node& node = tape_->nodes()[inputs_[input].index()];
    return node.recompute == nullptr ? SavedValue(value(input).Alias()) : SavedValue(node.recompute);
  }

  Tensor NewTensor(const Shape& shape, DType dtype = DType::kFloat32) {
    return Tensor(shape, dtype, context().allocator());
  }

  Var Record(Tensor value, absl::InlinedVector<Attribute, 1> attributes, Tape::BackwardFunction backward,
             std::shared_ptr<const Recomputation> recompute = nullptr);

  // The same for a value that is pending, coded, or both.
  Var Record(const Shape& shape, Tape::NodeValue value, absl::InlinedVector<Attribute, 1> attributes,
             Tape::BackwardFunction backward);

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
