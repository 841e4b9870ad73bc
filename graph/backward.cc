// Tape::Backward: the reverse loop and the accumulation of gradients.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/graph/tape_core.h"

namespace bitgrad {
namespace {

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
    if (core_->op_listener != nullptr) core_->op_listener({.node = i, .backward = true});
  }
  return status();
}

absl::Status Tape::CheckLeaves(int32_t last) const {
  for (const Core::Leaf& leaf : core_->leaves) {
    if (leaf.node > last) break;
    const Node& node = core_->nodes[leaf.node];
    if (core_->IsChanged(leaf)) return core_->ChangedError(leaf);
    if (node.parameter == nullptr || !node.requires_gradient || node.parameter->gradient.is_null()) continue;
    if (!node.parameter->GradientFits()) {
      const Tensor& rows = node.parameter->gradient_rows;
      return absl::FailedPreconditionError(absl::StrCat(
          "backward: parameter '", node.parameter->name, "' has a gradient from before that is ",
          Describe(node.parameter->gradient), rows.is_null() ? "" : absl::StrCat(" of rows ", Describe(rows)),
          ", its value is ", node.shape.ToString(),
          "; drop the gradient (DropGradient()) where the value gets another shape"));
    }
  }
  return absl::OkStatus();
}

Tensor& Tape::GradientOf(Node& node) { return node.parameter != nullptr ? node.parameter->gradient : node.gradient; }

Tensor& Tape::OwnGradient(int32_t index) {
  Node& node = core_->nodes[index];
  Tensor& sum = GradientOf(node);
  const GradientArithmetic& arithmetic = *core_->gradient_arithmetic;
  const bool by_rows = node.parameter != nullptr && node.parameter->has_row_gradient();
  // An op may hand one buffer to several inputs: never add into a shared one.
  if (!sum.is_null() && !by_rows && sum.is_unique()) return sum;
  Tensor own(node.shape, DType::kFloat32, context().allocator());
  arithmetic.fill(context(), 0.0f, own);
  if (by_rows) {
    arithmetic.add_rows(context(), node.parameter->gradient_rows, sum.matrix<float>(), own.mutable_matrix<float>());
  } else if (!sum.is_null()) {
    arithmetic.add(context(), sum, own);
  }
  if (node.parameter != nullptr) node.parameter->gradient_rows = Tensor();
  sum = std::move(own);
  return sum;
}

void Tape::AddGradient(int32_t index, Tensor gradient) {
  Node& node = core_->nodes[index];
  Tensor& sum = GradientOf(node);
  if (sum.is_null()) {
    if (node.parameter != nullptr) node.parameter->gradient_rows = Tensor();
    sum = std::move(gradient);
    return;
  }
  const bool by_rows = node.parameter != nullptr && node.parameter->has_row_gradient();
  if (!by_rows && !sum.is_unique() && gradient.is_unique()) std::swap(sum, gradient);
  core_->gradient_arithmetic->add(context(), gradient, OwnGradient(index));
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

absl::Status Tape::GradientSink::CheckGradient(int input, const Tensor& gradient, bool fits,
                                               absl::string_view what) const {
  const Node& node = tape_.core_->nodes[node_];
  const Node& operand = tape_.core_->nodes[node.inputs[input]];
  if (operand.requires_gradient && fits && !gradient.is_null() && gradient.dtype() == DType::kFloat32 &&
      gradient.device() == context().allocator().device()) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("backward of ", node.descriptor.op, ": the gradient of operand ", input,
                                          " is ", Describe(gradient), ", the operand ",
                                          operand.requires_gradient ? "" : "wants none and ", "is ",
                                          operand.shape.ToString(), "; ", what, " on the tape's device"));
}

void Tape::GradientSink::Add(int input, Tensor gradient) {
  const int32_t to = tape_.core_->nodes[node_].inputs[input];
  const bool fits = !gradient.is_null() && gradient.shape() == tape_.core_->nodes[to].shape;
  const absl::Status status = CheckGradient(input, gradient, fits, "Add() takes float32 of that shape");
  if (!status.ok()) return tape_.ReportError(status);
  tape_.AddGradient(to, std::move(gradient));
}

void Tape::GradientSink::AddPart(int input, const Part& part, const Tensor& gradient) {
  const int32_t to = tape_.core_->nodes[node_].inputs[input];
  const bool fits = !gradient.is_null() && part.rows >= 0 && part.begin >= 0 && part.cols >= 0 &&
                    part.begin + part.cols <= part.stride && gradient.num_elements() == part.rows * part.cols &&
                    part.rows * part.stride == tape_.core_->nodes[to].shape.num_elements();
  const absl::Status status = CheckGradient(input, gradient, fits, "AddPart() takes float32 of a part of it");
  if (!status.ok()) return tape_.ReportError(status);
  float* const sum = tape_.OwnGradient(to).mutable_data<float>();
  tape_.core_->gradient_arithmetic->add_part(context(), {gradient.data<float>(), part.rows, part.cols, part.cols},
                                             {sum + part.begin, part.rows, part.cols, part.stride});
}

void Tape::GradientSink::AddRows(int input, Tensor rows, Tensor gradient) {
  const int32_t to = tape_.core_->nodes[node_].inputs[input];
  Node& operand = tape_.core_->nodes[to];
  const bool fits = !rows.is_null() && rows.dtype() == DType::kInt32 && rows.shape().rank() == 1 &&
                    rows.device() == context().allocator().device() && !gradient.is_null() &&
                    gradient.shape() == Shape({rows.shape().dim(0), operand.shape.cols()});
  const absl::Status status = CheckGradient(input, gradient, fits, "AddRows() takes int32 [n] and float32 [n, cols]");
  if (!status.ok()) return tape_.ReportError(status);
  if (operand.parameter != nullptr && operand.parameter->gradient.is_null()) {
    operand.parameter->gradient = std::move(gradient);
    operand.parameter->gradient_rows = std::move(rows);
    return;
  }
  const bool adds = !GradientOf(operand).is_null();
  tape_.core_->gradient_arithmetic->add_rows(context(), rows, gradient.matrix<float>(),
                                             tape_.OwnGradient(to).mutable_matrix<float>());
  if (adds) tape_.core_->ArithmeticOf(operand.layer).backward.float_additions += gradient.num_elements();
}

}  // namespace bitgrad
