#include "bitgrad/ops/op_recorder.h"

#include <string>

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
    .add_part =
        [](ExecContext& context, ConstMatrixView<float> x, MatrixView<float> y) {
          KernelsFor(context.device()).binary_forward(context, Binary::kAdd, y, x, y);
        },
    .add_rows =
        [](ExecContext& context, const Tensor& rows, ConstMatrixView<float> x, MatrixView<float> y) {
          KernelsFor(context.device()).add_to_rows(context, rows.data<int32_t>(), x, y);
        },
};

std::string Describe(const Tensor& tensor) {
  if (tensor.is_null()) return "null";
  return absl::StrCat(Name(tensor.dtype()), " ", tensor.shape().ToString(), " on ", Name(tensor.device()));
}

}  // namespace

OpRecorder::OpRecorder(absl::string_view op, absl::Span<const Var> inputs, int indices)
    : op_(op), inputs_(inputs.begin(), inputs.end()) {
  for (const Var& input : inputs_) {
    if (tape_ == nullptr) tape_ = input.tape();
  }
  if (tape_ == nullptr) return;  // Nowhere to report: the result is an empty Var.
  for (const Var& input : inputs_) {
    if (!tape_->Check(input, op_)) return;
    const Tape::Node& node = tape_->nodes()[input.index()];
    const bool is_index = indices-- > 0;
    if (node.pending != nullptr && !is_index) continue;  // An op will make it, of float32.
    const Device device = context().allocator().device();
    const DType dtype = is_index ? DType::kInt32 : DType::kFloat32;
    if (node.value.is_null() || node.value.dtype() != dtype || node.value.device() != device) {
      tape_->ReportError(absl::InvalidArgumentError(
          absl::StrCat(op_, is_index ? ": the operand of indices is " : ": an operand is ",
                       node.pending != nullptr ? absl::StrCat("float32 ", node.shape.ToString()) : Describe(node.value),
                       is_index ? "; indices are int32 on " : "; ops compute in float32 on ", Name(device))));
      return;
    }
  }
  kernels_ = &KernelsFor(context().device());
  ok_ = true;
}

Var OpRecorder::Failed() { return tape_ == nullptr ? Var() : tape_->Failed(); }

bool OpRecorder::CheckTensor(absl::string_view what, const Tensor& tensor, const Shape& shape, DType dtype,
                             bool or_host) {
  const Device device = context().allocator().device();
  if (!tensor.is_null() && tensor.dtype() == dtype && tensor.shape() == shape &&
      (tensor.device() == device || (or_host && tensor.device() == Device::kCpu))) {
    return true;
  }
  Fail("the tensor of ", what, " is ", Describe(tensor), "; it has to be ", Name(dtype), " ", shape.ToString(), " on ",
       Name(device), or_host && device != Device::kCpu ? " or cpu" : "");
  return false;
}

Encoding OpRecorder::encoding(int input) const {
  return tape_->nodes()[inputs_[input].index()].descriptor.Get<Quantizer>("quantizer", Quantizer()).encoding();
}

bool OpRecorder::CheckGradientQuantizer(const Quantizer& quantizer) {
  const absl::Status status = quantizer.In(QuantizerRole::kGradient).CheckRole();
  if (!status.ok()) Fail(status.message());
  return status.ok();
}

bool OpRecorder::CheckResult(const Shape& shape) {
  const absl::Status status = shape.Validate();
  if (!status.ok()) Fail("the result's ", status.message());
  return status.ok();
}

Var OpRecorder::Record(Tensor value, absl::InlinedVector<Attribute, 1> attributes, Tape::BackwardFunction backward,
                       std::shared_ptr<const Recomputation> recompute) {
  return tape_->Record({op_, std::move(attributes)}, inputs_, std::move(value), std::move(backward),
                       &kGradientArithmetic, std::move(recompute));
}

Var OpRecorder::Record(const Shape& shape, Tape::NodeValue value, absl::InlinedVector<Attribute, 1> attributes,
                       Tape::BackwardFunction backward) {
  return tape_->Record({op_, std::move(attributes)}, inputs_, shape, std::move(value), std::move(backward),
                       &kGradientArithmetic);
}

}  // namespace bitgrad
