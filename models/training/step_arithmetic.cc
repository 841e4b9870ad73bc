#include "bitgrad/models/training/step_arithmetic.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/training/parameter_restorer.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {
namespace {

LayerArithmetic& LayerOf(absl::string_view layer, std::vector<LayerArithmetic>& layers) {
  for (LayerArithmetic& known : layers) {
    if (known.layer == layer) return known;
  }
  layers.push_back({.layer = std::string(layer)});
  return layers.back();
}

// The layer of a parameter: of those that have counted something the one with the longest path that the parameter's
// begins with ("hidden1" for "hidden1/weight/quantizer/step"), else the folder of the parameter.
std::string LayerOfParameter(const std::string& name, absl::Span<const LayerArithmetic> layers) {
  std::string found;
  for (const LayerArithmetic& known : layers) {
    const size_t size = known.layer.size();
    if (size > found.size() && name.size() > size && name[size] == '/' && name.compare(0, size, known.layer) == 0) {
      found = known.layer;
    }
  }
  return found.empty() ? name.substr(0, name.rfind('/')) : found;
}

// The encoding of what a node's value was quantized to.
Encoding EncodingOf(const Tape::Node& node) {
  return node.descriptor.Get<Quantizer>("quantizer", Quantizer()).encoding();
}

// Float multiplications by the paper's convention, in place of those that the tape has counted.
void CountByPaper(const Tape& tape, std::vector<LayerArithmetic>& layers) {
  for (LayerArithmetic& layer : layers) {
    for (ArithmeticCounts* counts : {&layer.forward, &layer.backward, &layer.update}) counts->float_multiplications = 0;
  }
  for (const Tape::Node& node : tape.nodes()) {
    const auto input = [&](int k) -> const Tape::Node& { return tape.nodes()[node.inputs[k]]; };
    LayerArithmetic& layer = LayerOf(node.layer, layers);
    int64_t &forward = layer.forward.float_multiplications, &backward = layer.backward.float_multiplications,
            &update = layer.update.float_multiplications;
    const bool is_conv = node.descriptor.op == "conv2d";
    if (is_conv || node.descriptor.op == "linear") {
      const int64_t outputs = node.shape.num_elements();
      const int64_t macs =
          is_conv ? node.descriptor.Get<ConvGeometry>("geometry", {}).macs() : outputs * input(1).shape.cols();
      const bool free_weights = EncodingOf(input(1)).is_power_of_two();
      const bool free_input = EncodingOf(input(0)).is_power_of_two();
      const Quantizer for_gradient = node.descriptor.Get<Quantizer>("input_for_weight_gradient", Quantizer());
      if (!free_weights && !free_input) forward += macs;
      if (!free_weights) backward += macs;
      if (for_gradient.is_identity() ? !free_input : !for_gradient.encoding().is_power_of_two()) backward += macs;
      backward += 2 * outputs;
      update += outputs;
    } else if (node.descriptor.op == "batch_norm") {
      const int64_t features = node.shape.cols(), elements = node.shape.num_elements();
      forward += 3 * elements + 4 * features;
      backward += 6 * elements + 4 * features;
      update += features;
    }
  }
}

struct Column {
  const char* name;
  int64_t ArithmeticCounts::*count;
};
constexpr Column kColumns[] = {{"float mul", &ArithmeticCounts::float_multiplications},
                               {"float add", &ArithmeticCounts::float_additions},
                               {"int mul", &ArithmeticCounts::integer_multiplications},
                               {"int add", &ArithmeticCounts::integer_additions},
                               {"shift", &ArithmeticCounts::shifts},
                               {"xnor-popcount", &ArithmeticCounts::xnor_popcounts},
                               {"root", &ArithmeticCounts::square_roots}};

void AppendRow(absl::string_view layer, size_t width, absl::string_view part, const ArithmeticCounts& counts,
               std::string& table) {
  if (counts == ArithmeticCounts()) return;
  absl::StrAppendFormat(&table, "%-*s  %-8s", static_cast<int>(width), layer, part);
  for (const Column& column : kColumns) absl::StrAppendFormat(&table, "  %13d", counts.*column.count);
  absl::StrAppend(&table, "\n");
}

}  // namespace

absl::StatusOr<std::vector<LayerArithmetic>> CountStep(const ExecContext::Options& options, Model& model,
                                                       ParameterStore& parameters, const Task& task,
                                                       const Optimizer& optimizer, int64_t batch_size,
                                                       CountingConvention convention) {
  ExecContext context(options);
  BITGRAD_RETURN_IF_ERROR(context.status());
  const ParameterRestorer restorer(context, parameters.parameters());
  const Batch batch = ToDevice(context, task.Blank(batch_size));
  Tape tape(context);
  const Objective objective = RecordObjective(task, model, tape, batch);
  BITGRAD_RETURN_IF_ERROR(tape.status());
  BITGRAD_RETURN_IF_ERROR(tape.Backward(objective.scaled));
  std::vector<LayerArithmetic> layers(tape.layer_arithmetic().begin(), tape.layer_arithmetic().end());
  for (Parameter* parameter : parameters.parameters()) {
    if (parameter->trainable && !parameter->gradient.is_null()) {
      const std::string layer = LayerOfParameter(parameter->name, layers);
      LayerOf(layer, layers).update += optimizer.ArithmeticOf(*parameter);
    }
    parameter->DropGradient();
  }
  if (convention == CountingConvention::kPaper) CountByPaper(tape, layers);
  return layers;
}

absl::StatusOr<ArithmeticCounts> CountInference(const ExecContext::Options& options, Model& model,
                                                ParameterStore& parameters, const Task& task) {
  ExecContext context(options);
  BITGRAD_RETURN_IF_ERROR(context.status());
  const ParameterRestorer restorer(context, parameters.parameters());
  const Batch batch = ToDevice(context, task.Blank(1));
  Tape tape(context, Mode::kEval);
  task.Forward(model, tape, batch);
  BITGRAD_RETURN_IF_ERROR(tape.status());
  return tape.arithmetic();
}

ArithmeticCounts SumOf(absl::Span<const LayerArithmetic> layers) {
  ArithmeticCounts sum;
  for (const LayerArithmetic& layer : layers) sum += layer.total();
  return sum;
}

std::string ArithmeticTable(absl::Span<const LayerArithmetic> layers) {
  constexpr absl::string_view kLoss = "(no layer)", kTotal = "total";
  const auto name = [&](const LayerArithmetic& layer) {
    return layer.layer.empty() ? kLoss : absl::string_view(layer.layer);
  };
  size_t width = kTotal.size();
  for (const LayerArithmetic& layer : layers) width = std::max(width, name(layer).size());
  std::string table = absl::StrFormat("%-*s  %-8s", static_cast<int>(width), "layer", "pass");
  for (const Column& column : kColumns) absl::StrAppendFormat(&table, "  %13s", column.name);
  absl::StrAppend(&table, "\n");
  for (const LayerArithmetic& layer : layers) {
    AppendRow(name(layer), width, "forward", layer.forward, table);
    AppendRow(name(layer), width, "backward", layer.backward, table);
    AppendRow(name(layer), width, "update", layer.update, table);
  }
  AppendRow(kTotal, width, "", SumOf(layers), table);
  return table;
}

}  // namespace bitgrad
