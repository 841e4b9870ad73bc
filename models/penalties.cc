#include "bitgrad/models/penalties.h"

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/reduce.h"

namespace bitgrad {
namespace {

// The quantizer of a node, the identity where it does not quantize.
Quantizer QuantizerOf(const Tape::Node& node) { return node.descriptor.Get<Quantizer>("quantizer", Quantizer()); }

// The parameters among the node's operands that its quantizer learns, in the order of Quantize(): the form's variable,
// then the scale.
Parameter* Variable(const Tape& tape, const Tape::Node& node) { return tape.nodes()[node.inputs[1]].parameter; }
Parameter* Scale(const Tape& tape, const Tape::Node& node) { return tape.nodes()[node.inputs.back()].parameter; }

// The multiply-accumulates, for one example, of the products that have node `index` as an operand.
double ProductMacs(const Tape& tape, int32_t index) {
  double macs = 0;
  for (const Tape::Node& node : tape.nodes()) {
    if (node.descriptor.op != "linear" && node.descriptor.op != "conv2d") continue;
    if (node.inputs[0] != index && node.inputs[1] != index) continue;
    const Shape& weight = tape.nodes()[node.inputs[1]].shape;
    const double terms = static_cast<double>(weight.num_elements()) / static_cast<double>(weight.dim(0));
    macs += terms * static_cast<double>(node.shape.num_elements()) / static_cast<double>(node.shape.dim(0));
  }
  return macs;
}

double Lambda(const Tape& tape, int32_t index, BitCost cost) {
  const Tape::Node& node = tape.nodes()[index];
  const double elements = static_cast<double>(node.shape.num_elements());
  switch (cost) {
    case BitCost::kAverage: return 1;
    case BitCost::kFootprint:
      return QuantizerOf(node).args().role == QuantizerRole::kWeight
                 ? elements
                 : elements / static_cast<double>(node.shape.dim(0));
    case BitCost::kOperations: return ProductMacs(tape, index);
  }
  return 0;
}

Var SumOf(const std::vector<Var>& terms) {
  Var sum = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) sum = Add(sum, terms[i]);
  return sum;
}

Var NothingLearned(Tape& tape, absl::string_view message) {
  tape.ReportError(absl::InvalidArgumentError(message));
  return tape.Failed();
}

}  // namespace

Var SumOfScalePenalties(Tape& tape, ScalePenaltyKind kind) {
  std::vector<Var> terms;
  const int32_t count = static_cast<int32_t>(tape.nodes().size());
  for (int32_t i = 0; i < count; ++i) {
    const Tape::Node& node = tape.nodes()[i];
    if (!QuantizerOf(node).has_learned_scale()) continue;
    Parameter* const weight = tape.nodes()[node.inputs[0]].parameter;
    Parameter* const scale = Scale(tape, node);
    if (weight != nullptr) terms.push_back(ScalePenalty(tape.Use(*weight), tape.Use(*scale), kind));
  }
  if (terms.empty()) {
    return NothingLearned(tape,
                          "scale penalty: no weight has a learned scale; give the weights a quantizer such as "
                          "'sign(scale=learned)'");
  }
  return SumOf(terms);
}

Var SumOfSplinePenalties(Tape& tape, SplinePenaltyKind kind) {
  std::vector<Var> terms;
  const int32_t count = static_cast<int32_t>(tape.nodes().size());
  for (int32_t i = 0; i < count; ++i) {
    if (tape.nodes()[i].descriptor.op != "spline") continue;
    const float range = static_cast<float>(tape.nodes()[i].descriptor.Get<double>("range", 0));
    const Tape::Node& coefficients = tape.nodes()[tape.nodes()[i].inputs[1]];
    if (coefficients.parameter != nullptr) {
      terms.push_back(SplinePenalty(tape.Use(*coefficients.parameter), range, kind));
    } else if (coefficients.descriptor.op == "spline_linear_term") {
      Parameter* operands[3];
      for (int k = 0; k < 3; ++k) operands[k] = tape.nodes()[coefficients.inputs[k]].parameter;
      if (operands[0] == nullptr || operands[1] == nullptr || operands[2] == nullptr) continue;
      terms.push_back(SplinePenalty(
          AddLinearTerm(tape.Use(*operands[0]), tape.Use(*operands[1]), tape.Use(*operands[2]), range), range, kind));
    }
  }
  if (terms.empty()) {
    return NothingLearned(tape,
                          "spline penalty: no activation is a learned spline; give the net the activation "
                          "'spline(21, 1)'");
  }
  return SumOf(terms);
}

Var CostOfBits(Tape& tape, BitCost cost) {
  struct Length {
    Parameter* bits;
    double lambda;
  };
  std::vector<Length> lengths;
  double total = 0;
  const int32_t count = static_cast<int32_t>(tape.nodes().size());
  for (int32_t i = 0; i < count; ++i) {
    const Tape::Node& node = tape.nodes()[i];
    if (QuantizerOf(node).info().hardened == nullptr) continue;
    lengths.push_back({Variable(tape, node), Lambda(tape, i, cost)});
    total += lengths.back().lambda;
  }
  if (lengths.empty() || !(total > 0)) {
    return NothingLearned(tape, "cost of bits: no bit length is learned; give the layers the quantizer 'bit_pruning'");
  }
  std::vector<Var> terms;
  for (const Length& length : lengths) {
    const double count = static_cast<double>(length.bits->value.num_elements());
    terms.push_back(Sum(tape.Use(*length.bits), static_cast<float>(length.lambda / total / count)));
  }
  return SumOf(terms);
}

}  // namespace bitgrad
