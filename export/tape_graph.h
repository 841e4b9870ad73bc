// TapeGraph: the nodes of an evaluation tape as a graph, which answers the questions that freezing asks. The values of
// constants are in the host's memory, on whatever device the tape is.

#ifndef BITGRAD_EXPORT_TAPE_GRAPH_H_
#define BITGRAD_EXPORT_TAPE_GRAPH_H_

#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/tape.h"

namespace bitgrad {

class TapeGraph {
 public:
  // Copies the constants from the tape's device; an error of the device is in its context's status() then. REQUIRES:
  // the tape is of an evaluation without error, and outlives this.
  TapeGraph(const Tape& tape, const Var& input, const Var& output);

  const Tape::Node& node(int i) const { return nodes_[i]; }
  int size() const { return static_cast<int>(nodes_.size()); }
  int input() const { return input_; }
  int output() const { return output_; }

  // Whether the output depends on the node.
  bool is_used(int i) const { return used_[i]; }
  // Used nodes that have node i as an operand; one that has it twice is listed twice.
  absl::Span<const int> consumers(int i) const { return consumers_[i]; }
  // Whether the node is a parameter, or a tensor other than the model's input: then it is the same for every example.
  bool is_constant(int i) const { return nodes_[i].inputs.empty() && i != input_; }
  // The value of a constant, on the host. Null for a constant that the output does not depend on. REQUIRES:
  // is_constant(i).
  const Tensor& constant(int i) const { return constants_[i]; }

 private:
  absl::Span<const Tape::Node> nodes_;
  int input_, output_;
  std::vector<bool> used_;
  std::vector<std::vector<int>> consumers_;
  std::vector<Tensor> constants_;
};

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_TAPE_GRAPH_H_
