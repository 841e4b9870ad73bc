// The states that a tape reads and leaves (graph/state_store.h).

#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/graph/tape_core.h"

namespace bitgrad {
namespace {

StateUse* FindUse(std::vector<StateUse>& uses, absl::string_view name) {
  for (StateUse& use : uses) {
    if (use.name == name) return &use;
  }
  return nullptr;
}

}  // namespace

void Tape::set_states(StateStore* states) {
  if (states != nullptr && &states->context() != &context()) {
    ReportError(absl::InvalidArgumentError("states: the store belongs to another ExecContext than the tape"));
    return;
  }
  core_->states = states;
}

absl::Span<const StateUse> Tape::states() const { return core_->state_uses; }

Var Tape::State(absl::string_view name, const Shape& shape) {
  if (!core_->status.ok()) return Failed();
  const auto fail = [this](const absl::Status& error) {
    ReportError(error);
    return Failed();
  };
  if (FindUse(core_->state_uses, name) != nullptr) {
    return fail(absl::FailedPreconditionError(
        absl::StrCat("state '", name, "': it is read twice on one tape; give each layer states of its own name")));
  }
  Tensor value;
  if (core_->states != nullptr) {
    absl::StatusOr<Tensor> read = core_->states->Read(name, shape);
    if (!read.ok()) return fail(read.status());
    value = *std::move(read);
  } else {
    if (shape.rank() != 2 || !shape.Validate().ok()) {
      return fail(absl::InvalidArgumentError(
          absl::StrCat("state '", name, "': the shape ", shape.ToString(), " has to be [streams, width]")));
    }
    value = Tensor::Zeros(shape, DType::kFloat32, context().allocator());
  }
  const Tensor::Version version(value);
  Var var = Record({.op = "state"}, {}, std::move(value), nullptr, nullptr);
  if (!core_->status.ok()) return Failed();
  // Whoever commits before the backward pass has run changes what it reads: an error of Backward().
  core_->leaves.push_back({var.index_, version});
  core_->state_uses.push_back({.name = std::string(name), .initial = var.index_});
  return var;
}

void Tape::SetNextState(absl::string_view name, const Var& next) {
  if (!Check(next, "next state")) return;
  StateUse* const use = FindUse(core_->state_uses, name);
  if (use == nullptr || use->next >= 0) {
    return ReportError(absl::FailedPreconditionError(
        absl::StrCat("state '", name, "': its next value is set ",
                     use == nullptr ? "before State() has read it" : "twice on one tape")));
  }
  const Shape& shape = core_->nodes[use->initial].shape;
  const Node& node = core_->nodes[next.index_];
  if (node.shape != shape ||
      (node.pending == nullptr && (node.value.is_null() || node.value.dtype() != DType::kFloat32))) {
    return ReportError(
        absl::InvalidArgumentError(absl::StrCat("state '", name, "': the next value is ", node.shape.ToString(),
                                                ", the state float32 ", shape.ToString(), "; they have to be alike")));
  }
  use->next = next.index_;
  if (core_->states != nullptr) core_->states->Write(name, ValueOf(next.index_));
}

}  // namespace bitgrad
