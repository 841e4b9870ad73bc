#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {
namespace {

constexpr Tape::GradientArithmetic kGradientArithmetic = {
    .add =
        [](ExecContext& context, const Tensor& x, Tensor& y) {
          KernelsFor(context.device())
              .scale_f32(context, 1.0f, x.data<float>(), /*accumulate=*/true, y.mutable_data<float>(),
                         y.num_elements());
        },
    .fill =
        [](ExecContext& context, float value, Tensor& y) {
          KernelsFor(context.device()).fill_f32(context, value, y.mutable_data<float>(), y.num_elements());
        },
};

}  // namespace

OpRecorder::OpRecorder(absl::string_view op, absl::Span<const Var> inputs)
    : op_(op), inputs_(inputs.begin(), inputs.end()) {
  for (const Var& input : inputs_) {
    if (tape_ == nullptr) tape_ = input.tape();
  }
  if (tape_ == nullptr) return;  // Nowhere to report: the result is an empty Var.
  for (const Var& input : inputs_) {
    if (!tape_->Check(input, op_)) return;
    if (const Tensor& value = tape_->nodes()[input.index()].value; value.dtype() != DType::kFloat32) {
      tape_->ReportError(absl::InvalidArgumentError(absl::StrCat(
          op_, ": an operand is ", Name(value.dtype()), " ", input.shape().ToString(), "; ops compute in float32")));
      return;
    }
  }
  kernels_ = &KernelsFor(context().device());
  ok_ = true;
}

Var OpRecorder::Failed() { return tape_ == nullptr ? Var() : tape_->Failed(); }

Var OpRecorder::Record(Tensor value, absl::InlinedVector<Attribute, 1> attributes, Tape::BackwardFunction backward,
                       std::shared_ptr<const RecomputeFunction> recompute) {
  return tape_->Record({op_, std::move(attributes)}, inputs_, std::move(value), std::move(backward),
                       &kGradientArithmetic, std::move(recompute));
}

Var OpRecorder::RecordPending(const Shape& shape, std::shared_ptr<const PendingValue> pending,
                              Tape::BackwardFunction backward) {
  return tape_->RecordPending({op_, {}}, inputs_, shape, std::move(pending), std::move(backward), &kGradientArithmetic);
}

}  // namespace bitgrad
