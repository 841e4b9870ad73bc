// Tape::Backward: the reverse loop and the accumulation of gradients.

#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/graph/tape_core.h"

namespace bitgrad {

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
        absl::FailedPreconditionError("backward: already run on this recording; Reset() the tape or record again"));
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
  core_->backward_done = true;
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
    }
    // Gives back the saved bits, masks and values.
    node.backward = nullptr;
    node.recompute = nullptr;
    if (core_->op_listener != nullptr) core_->op_listener();
  }
  return status();
}

void Tape::AddGradient(int32_t index, Tensor gradient) {
  Node& node = core_->nodes[index];
  BITGRAD_CHECK(node.requires_gradient && gradient.shape() == node.shape);
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
}

ExecContext& Tape::GradientSink::context() const { return tape_.context(); }

void Tape::GradientSink::Count(const ArithmeticCounts& counts) { tape_.Count(counts); }

bool Tape::GradientSink::wants(int input) const {
  const Node& node = tape_.core_->nodes[node_];
  return tape_.core_->nodes[node.inputs[input]].requires_gradient;
}

void Tape::GradientSink::Add(int input, Tensor gradient) {
  tape_.AddGradient(tape_.core_->nodes[node_].inputs[input], std::move(gradient));
}

}  // namespace bitgrad
