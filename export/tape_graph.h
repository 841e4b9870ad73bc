// TapeGraph: the nodes of an evaluation tape as a graph, which answers the questions that freezing asks.

#ifndef BITGRAD_EXPORT_TAPE_GRAPH_H_
#define BITGRAD_EXPORT_TAPE_GRAPH_H_

#include <vector>

#include "absl/types/span.h"
#include "bitgrad/graph/tape.h"

namespace bitgrad {

class TapeGraph {
 public:
  // REQUIRES: the tape is of an evaluation without error, and outlives this.
  TapeGraph(const Tape& tape, const Var& input, const Var& output);

  const Tape::Node& node(int i) const { return nodes_[i]; }
  int size() const { return static_cast<int>(nodes_.size()); }
  int input() const { return input_; }
  int output() const { return output_; }

  // Whether the output depends on the node.
  bool is_used(int i) const { return used_[i]; }
  // Used nodes that have node i as an operand; one that has it twice is listed twice.
  absl::Span<const int> consumers(int i) const { return consumers_[i]; }
  // A parameter, or a tensor that is not the model's input: the same for every example.
  bool is_constant(int i) const { return nodes_[i].inputs.empty() && i != input_; }

 private:
  absl::Span<const Tape::Node> nodes_;
  int input_, output_;
  std::vector<bool> used_;
  std::vector<std::vector<int>> consumers_;
};

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_TAPE_GRAPH_H_
