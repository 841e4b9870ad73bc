#include "bitgrad/models/training/can_learn.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {

absl::Status CheckTrainable(absl::Span<Parameter* const> parameters) {
  const bool any = std::any_of(parameters.begin(), parameters.end(), [](const Parameter* p) { return p->trainable; });
  if (any) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the model has nothing to learn: none of its ", parameters.size(),
                                                 " parameters is trainable; give it a layer with weights"));
}

absl::Status CheckBatchNorms(const Tape& forward, int64_t recorded, int64_t batch_size) {
  if (recorded == 0) return absl::OkStatus();
  for (const Tape::Node& node : forward.nodes()) {
    if (node.descriptor.op != "batch_norm") continue;
    // All dimensions but the last count values of a feature: the examples, and an image's places.
    const int64_t values = node.shape.rows() / recorded * batch_size;
    if (values > 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("layer '", node.layer, "': batch norm has a single value of each feature in a batch of ",
                     batch_size, ", so that its output does not depend on its input and nothing can be learned; ",
                     "use a batch_size of 2 or more"));
  }
  return absl::OkStatus();
}

absl::Status CheckCanLearn(ExecContext& context, Model& model, const Task& task,
                           absl::Span<Parameter* const> parameters, int64_t batch_size) {
  BITGRAD_RETURN_IF_ERROR(CheckTrainable(parameters));
  Tape tape(context, Mode::kEval);
  task.Forward(model, tape, ToDevice(context, task.Blank(1)));
  BITGRAD_RETURN_IF_ERROR(tape.status());
  return CheckBatchNorms(tape, 1, batch_size);
}

}  // namespace bitgrad
