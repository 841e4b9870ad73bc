#include "bitgrad/export/record.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/export/program_quantizer.h"

namespace bitgrad {
namespace {

using program::Value;

program::Quantize QuantizeOf(const Quantizer& quantizer, size_t inputs) {
  program::Quantize quantize = {.quantizer = quantizer};
  int next = 1;
  if (quantizer.has_variable()) quantize.variable = next++;
  if (quantizer.has_learned_scale()) quantize.scale = next++;
  if (next < static_cast<int>(inputs)) quantize.statistic = next;
  return quantize;
}

program::Round RoundOf(ExecContext& context, const NumberGroup& group) {
  NumberFormat format = group.format;
  if (group.range != nullptr) {
    format.kind = NumberFormatKind::kFixed;
    format.range = static_cast<int>(bitgrad::ToHost(context, group.range->value).data<float>()[0]);
  }
  return program::Round{format};
}

program::Operation OperationOf(ExecContext& context, const Tape::Node& node) {
  const OpDescriptor& op = node.descriptor;
  if (op.op == "quantize") return QuantizeOf(op.Get<Quantizer>("quantizer", Quantizer()), node.inputs.size());
  if (op.op == "linear") return program::Linear();
  if (op.op == "conv2d") return program::Conv2d{op.Get<ConvGeometry>("geometry", {})};
  if (op.op == "max_pool") return program::MaxPool{.geometry = op.Get<PoolGeometry>("geometry", {})};
  if (op.op == "average_pool") return program::AveragePool{op.Get<PoolGeometry>("geometry", {})};
  // In evaluation, whose operands are the statistics, too.
  if (op.op == "batch_norm" && node.inputs.size() == 5) return program::BatchNorm();
  if (op.op == "add") return program::BinaryOp{Binary::kAdd};
  if (op.op == "sub") return program::BinaryOp{Binary::kSub};
  if (op.op == "mul") return program::BinaryOp{Binary::kMul};
  if (op.op == "concat") return program::Concat();
  if (op.op == "reshape") return program::Reshape();
  if (op.op == "embedding") return program::Embedding();
  if (op.op == "slice_columns") {
    return program::SliceColumns{.begin = op.Get<int64_t>("begin", 0), .size = op.Get<int64_t>("size", 0)};
  }
  if (op.op == "spline") return program::Spline{static_cast<float>(op.Get<double>("range", 0))};
  if (op.op == "round") return RoundOf(context, op.Get<NumberGroup>("format", {}));
  if (const int64_t unary = op.Get<int64_t>("unary", 0); unary != 0) {
    return program::UnaryOp{static_cast<Unary>(unary), static_cast<float>(op.Get<double>("parameter", 0))};
  }
  return program::Other();
}

std::shared_ptr<const CodedTensor> ToHost(ExecContext& context, const CodedTensor& coded) {
  auto host = std::make_shared<CodedTensor>();
  host->encoding = coded.encoding;
  host->matrix = coded.matrix;
  host->factor = coded.factor;
  if (!coded.scale.is_null()) host->scale = bitgrad::ToHost(context, coded.scale);
  if (!coded.codes.is_null()) host->codes = bitgrad::ToHost(context, coded.codes);
  if (coded.bits == nullptr || context.device() == Device::kCpu) {
    host->bits = coded.bits;
    return host;
  }
  auto bits = std::make_shared<BitMatrix>(coded.bits->rows(), coded.bits->cols());
  context.Download(bits->mutable_view().words, coded.bits->view().words,
                   BitMatrix::BytesFor(bits->rows(), bits->cols()));
  host->bits = std::move(bits);
  return host;
}

absl::Status CheckFinite(const Value& value) {
  for (const float x : value.floats.span<float>()) {
    if (std::isfinite(x)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("layer '", value.layer, "': '", value.as<program::Constant>()->name,
                     "' has a NaN or an infinity; the parameters are damaged or training diverged"));
  }
  return absl::OkStatus();
}

}  // namespace

Recorder::Recorder(Tape& tape, const Var& input) : tape_(tape), input_(input.index()) {
  tape_.set_op_listener([this](const OpEvent& event) { Keep(event.node); });
}

Recorder::~Recorder() { tape_.set_op_listener(nullptr); }

bool Recorder::varies(int node) const { return node == input_ || tape_.nodes()[node].descriptor.op == "state"; }

void Recorder::Keep(int32_t last) {
  const absl::Span<const Tape::Node> nodes = tape_.nodes();
  const Tape::Node& node = nodes[last];
  if (node.coded != nullptr) encodings_[last] = node.coded->encoding;
  const bool is_known = !node.inputs.empty() && std::all_of(node.inputs.begin(), node.inputs.end(), [&](int operand) {
    return (nodes[operand].inputs.empty() && !varies(operand)) || known_.count(operand) > 0;
  });
  if (!is_known) return;
  known_[last] = node.coded != nullptr ? Known{.floats = {}, .coded = node.coded}
                                       : Known{.floats = tape_.ValueOf(last).Alias(), .coded = nullptr};
}

absl::StatusOr<std::vector<bool>> Recorder::UsedBy(int output) const {
  const absl::Span<const Tape::Node> nodes = tape_.nodes();
  std::vector<bool> used(nodes.size(), false);
  used[output] = true;
  for (bool changes = true; changes;) {
    changes = false;
    for (int i = static_cast<int>(nodes.size()) - 1; i >= 0; --i) {
      if (!used[i]) continue;
      for (const int operand : nodes[i].inputs) used[operand] = true;
    }
    for (const StateUse& state : tape_.states()) {
      if (!used[state.initial]) continue;
      if (state.next < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("layer '", nodes[state.initial].layer, "': the state '", state.name,
                         "' is read and never set; the model has to call Tape::SetNextState()"));
      }
      changes |= !used[state.next];
      used[state.next] = true;
    }
  }
  return used;
}

absl::StatusOr<program::Program> Recorder::Finish(const Var& output) {
  const absl::Span<const Tape::Node> nodes = tape_.nodes();
  const absl::Status not_computed =
      absl::InvalidArgumentError("the model's Forward() does not return a value computed from its input");
  if (output.tape() != &tape_ || output.index() == input_) return not_computed;
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<bool> used, UsedBy(output.index()));
  if (!used[input_]) return not_computed;

  program::Program program;
  std::vector<int> ids(nodes.size(), -1);
  int slots = 0;  // of states, in the order in which the tape has read them
  for (int i = 0; i < static_cast<int>(nodes.size()); ++i) {
    if (!used[i]) continue;
    const Tape::Node& node = nodes[i];
    Value value = {.operation = program::Input(),
                   .operands = {},
                   .op = std::string(node.descriptor.op),
                   .layer = node.layer,
                   .shape = node.shape};
    for (const int operand : node.inputs) value.operands.push_back(ids[operand]);
    if (const auto encoding = encodings_.find(i); encoding != encodings_.end()) value.encoding = encoding->second;
    if (!node.inputs.empty()) {
      value.operation = OperationOf(tape_.context(), node);
      if (const auto known = known_.find(i); known != known_.end()) {
        const Known& k = known->second;
        if (k.coded != nullptr) value.coded = ToHost(tape_.context(), *k.coded);
        if (!k.floats.is_null()) value.floats = bitgrad::ToHost(tape_.context(), k.floats);
      }
    } else if (node.descriptor.op == "state") {
      value.operation = program::State{slots++};
    } else if (i != input_) {
      const bool is_parameter = node.parameter != nullptr && node.parameter->trainable;
      value.operation = program::Constant{
          .name = node.parameter != nullptr ? node.parameter->name : absl::StrCat(node.layer, "/constant"),
          .is_parameter = is_parameter,
          .is_set = node.parameter == nullptr || node.parameter->is_set};
      value.floats = bitgrad::ToHost(tape_.context(), node.value);
      BITGRAD_RETURN_IF_ERROR(tape_.context().status());
      BITGRAD_RETURN_IF_ERROR(CheckFinite(value));
    }
    ids[i] = program.Add(std::move(value));
    Value& added = program.value(ids[i]);
    if (added.as<program::Quantize>() == nullptr || !added.is_coded() || added.is_known()) continue;
    // Where there is none, emitting the program says why.
    const absl::StatusOr<PackedQuantizer> quantizer = QuantizerOf(program, ids[i]);
    if (quantizer.ok()) added.scale = quantizer->value_scale();
  }
  program.set_result(ids[output.index()]);
  for (const StateUse& state : tape_.states()) {
    if (used[state.initial]) {
      program.AddState({.name = state.name, .initial = ids[state.initial], .next = ids[state.next]});
    }
  }
  BITGRAD_RETURN_IF_ERROR(tape_.context().status());
  return program;
}

}  // namespace bitgrad
