#include "bitgrad/export/tape_graph.h"

#include "bitgrad/core/transfer.h"

namespace bitgrad {

TapeGraph::TapeGraph(const Tape& tape, const Var& input, const Var& output)
    : nodes_(tape.nodes()),
      input_(input.index()),
      output_(output.index()),
      used_(nodes_.size(), false),
      consumers_(nodes_.size()),
      constants_(nodes_.size()) {
  used_[output_] = true;
  for (int i = output_; i >= 0; --i) {
    if (!used_[i]) continue;
    for (int operand : nodes_[i].inputs) used_[operand] = true;
  }
  for (int i = 0; i <= output_; ++i) {
    if (!used_[i]) continue;
    for (int operand : nodes_[i].inputs) consumers_[operand].push_back(i);
    if (is_constant(i)) constants_[i] = ToHost(tape.context(), nodes_[i].value);
  }
}

}  // namespace bitgrad
