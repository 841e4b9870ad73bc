// Tape::Backward: the reverse loop and the accumulation of gradients.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/graph/tape_core.h"

namespace bitgrad {
namespace {

bool FitsGradient(const Tensor& gradient, const Shape& shape, ExecContext& context) {
  return !gradient.is_null() && gradient.shape() == shape && gradient.dtype() == DType::kFloat32 &&
         gradient.device() == context.allocator().device();
}

std::string Describe(const Tensor& tensor) {
  if (tensor.is_null()) return "null";
  return absl::StrCat(Name(tensor.dtype()), " ", tensor.shape().ToString(), " on ", Name(tensor.device()));
}

}  // namespace

absl::Status Tape::Backward(const Var& loss) {
  if (absl::Status error = status(); !error.ok()) return error;
  if (!Check(loss, "backward")) return status();
  const auto fail = [this](const absl::Status& error) {
    ReportError(error);
    return status();
  };
  if (!training()) {
    return fail(absl::FailedPreconditionError("backward: the tape records an evaluation; use Mode::kTrain"));
  }
  if (core_->backward_done) {
    return fail(
        absl::FailedPreconditionError("backward: it has run on this tape already; Reset() the tape or make another"));
  }
  const Node& last = core_->nodes[loss.index_];
  if (last.shape.num_elements() != 1) {
    return fail(absl::InvalidArgumentError(
        absl::StrCat("backward: the loss has shape ", last.shape.ToString(), "; it has to be one number")));
  }
  if (!last.requires_gradient) {
    return fail(absl::FailedPreconditionError("backward: the loss depends on no parameter"));
  }
  if (core_->gradient_arithmetic == nullptr) {
    return fail(absl::FailedPreconditionError("backward: no op was recorded"));
  }
  if (const absl::Status error = CheckLeaves(loss.index_); !error.ok()) return fail(error);
  core_->backward_done = true;
  // No op will ask for them any more, and an optimizer writes a weight's signs in place only where nobody holds them.
  core_->kept_results.clear();
  Tensor one(last.shape, DType::kFloat32, context().allocator());
  core_->gradient_arithmetic->fill(context(), 1.0f, one);
  AddGradient(loss.index_, std::move(one));

  for (int32_t i = loss.index_; i >= 0; --i) {
    Node& node = core_->nodes[i];
    if (node.backward == nullptr) continue;
    if (!node.gradient.is_null()) {
      const MemoryUser user("backward pass of layer", node.layer);
      GradientSink sink(*this, i, &node.gradient);
      node.backward(sink);
      node.gradient = Tensor();
      if (!core_->status.ok()) return status();
    }
    // Gives back the saved bits, masks and values.
    node.backward = nullptr;
    node.recompute = nullptr;
    if (core_->op_listener != nullptr) core_->op_listener();
  }
  return status();
}

absl::Status Tape::CheckLeaves(int32_t last) const {
  for (const Core::Leaf& leaf : core_->leaves) {
    if (leaf.node > last) break;
    const Node& node = core_->nodes[leaf.node];
    if (core_->IsChanged(leaf)) return core_->ChangedError(leaf);
    if (node.parameter == nullptr || !node.requires_gradient || node.parameter->gradient.is_null()) continue;
    const Tensor& gradient = node.parameter->gradient;
    if (!FitsGradient(gradient, node.shape, context())) {
      return absl::FailedPreconditionError(
          absl::StrCat("backward: parameter '", node.parameter->name, "' has a gradient from before that is ",
                       Describe(gradient), ", its value is ", node.shape.ToString(),
                       "; drop the gradient (gradient = Tensor()) where the value gets another shape"));
    }
  }
  return absl::OkStatus();
}

void Tape::AddGradient(int32_t index, Tensor gradient) {
  Node& node = core_->nodes[index];
  Tensor& sum = node.parameter != nullptr ? node.parameter->gradient : node.gradient;
  if (sum.is_null()) {
    sum = std::move(gradient);
    return;
  }
  // An op may hand one buffer to several inputs: never add into a shared one.
  if (!sum.is_unique()) {
    if (gradient.is_unique()) {
      std::swap(sum, gradient);
    } else {
      Tensor copy = Tensor(sum.shape(), sum.dtype(), context().allocator());
      core_->gradient_arithmetic->fill(context(), 0.0f, copy);
      core_->gradient_arithmetic->add(context(), sum, copy);
      sum = std::move(copy);
    }
  }
  core_->gradient_arithmetic->add(context(), gradient, sum);
  core_->ArithmeticOf(node.layer).backward.float_additions += sum.num_elements();
}

ExecContext& Tape::GradientSink::context() const { return tape_.context(); }

void Tape::GradientSink::Count(const ArithmeticCounts& counts) {
  tape_.core_->ArithmeticOf(tape_.core_->nodes[node_].layer).backward += counts;
}

bool Tape::GradientSink::wants(int input) const {
  const Node& node = tape_.core_->nodes[node_];
  return tape_.core_->nodes[node.inputs[input]].requires_gradient;
}

void Tape::GradientSink::Add(int input, Tensor gradient) {
  const Node& node = tape_.core_->nodes[node_];
  const int32_t to = node.inputs[input];
  const Node& operand = tape_.core_->nodes[to];
  if (!operand.requires_gradient || !FitsGradient(gradient, operand.shape, context())) {
    tape_.ReportError(absl::InternalError(
        absl::StrCat("backward of ", node.descriptor.op, ": the gradient of operand ", input, " is ",
                     Describe(gradient), ", the operand ", operand.requires_gradient ? "" : "wants none and ", "is ",
                     operand.shape.ToString(), "; Add() takes float32 of that shape on the tape's device")));
    return;
  }
  tape_.AddGradient(to, std::move(gradient));
}

}  // namespace bitgrad
