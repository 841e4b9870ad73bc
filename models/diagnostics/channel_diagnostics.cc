#include "bitgrad/models/diagnostics/channel_diagnostics.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/diagnostics/step_diagnostics.h"

namespace bitgrad {
namespace {

// What a layer gives on: the ops behind which a channel that is constant is lost.
bool GivesChannels(absl::string_view op) {
  constexpr absl::string_view kOps[] = {"quantize", "relu", "leaky_relu", "prelu", "spline", "maxout"};
  return std::find(std::begin(kOps), std::end(kOps), op) != std::end(kOps);
}

// The layer that a node is of. An activation that is no layer of its own is of the layer whose output it changes: what
// batch norm gives is the layer's.
std::string LayerOfNode(absl::Span<const Tape::Node> nodes, size_t index) {
  while (nodes[index].layer.empty() && !nodes[index].inputs.empty()) {
    index = static_cast<size_t>(nodes[index].inputs.front());
  }
  absl::string_view layer = nodes[index].layer;
  absl::ConsumeSuffix(&layer, "/norm");
  return std::string(layer);
}

struct Channels {
  int64_t all = 0, constant = 0, dead = 0;
};

Channels ChannelsOf(const Tensor& value) {
  const int64_t channels = value.shape().dim(value.shape().rank() - 1);
  const absl::Span<const float> values = value.span<float>();
  Channels found = {.all = channels};
  std::vector<uint8_t> varies(static_cast<size_t>(channels), 0);
  const float* const first = values.data();
  for (size_t row = static_cast<size_t>(channels); row < values.size(); row += static_cast<size_t>(channels)) {
    const float* const here = values.data() + row;
    for (size_t c = 0; c < static_cast<size_t>(channels); ++c) varies[c] |= here[c] != first[c];
  }
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    if (varies[c] != 0) continue;
    ++found.constant;
    found.dead += first[c] == 0;
  }
  return found;
}

}  // namespace

absl::Status DescribeChannels(ExecContext& context, Model& model, const Task& task, const Batch& batch,
                              diagnostics::Epoch& epoch) {
  const Batch device_batch = ToDevice(context, batch);
  StateStore states(context);
  Tape tape(context, Mode::kEval);
  tape.set_states(&states);
  std::vector<std::pair<std::string, Channels>> layers;
  // Which nodes depend on the input through some op.
  std::vector<bool> is_input, varies;
  tape.set_op_listener([&](const OpEvent& event) {
    const auto index = static_cast<size_t>(event.node);
    const Tape::Node& node = tape.nodes()[index];
    is_input.resize(index + 1, false);
    varies.resize(index + 1, false);
    is_input[index] = node.descriptor.op == "input" && node.parameter == nullptr;
    bool of_input = false;
    for (const int32_t operand : node.inputs) {
      of_input = of_input || is_input[static_cast<size_t>(operand)];
      varies[index] = varies[index] || is_input[static_cast<size_t>(operand)] || varies[static_cast<size_t>(operand)];
    }
    if (!varies[index] || of_input || !GivesChannels(node.descriptor.op) || node.shape.rank() < 2) return;
    const Tensor& value = tape.ValueOf(event.node);
    if (value.is_null() || value.dtype() != DType::kFloat32 || value.num_elements() == 0) return;
    const Channels channels = ChannelsOf(ToHost(context, value));
    const std::string layer = LayerOfNode(tape.nodes(), index);
    const auto known = std::find_if(layers.begin(), layers.end(), [&](const auto& l) { return l.first == layer; });
    Channels& sum = known != layers.end() ? known->second : layers.emplace_back(layer, Channels()).second;
    sum.all += channels.all;
    sum.constant += channels.constant;
    sum.dead += channels.dead;
  });
  task.Forward(model, tape, device_batch);
  tape.set_op_listener(nullptr);
  if (const absl::Status status = tape.status(); !status.ok()) return status;
  for (const auto& [name, channels] : layers) {
    diagnostics::Layer& layer = LayerIn(name, epoch);
    layer.set_channels(channels.all);
    layer.set_constant_channels(static_cast<double>(channels.constant) / static_cast<double>(channels.all));
    layer.set_dead_channels(static_cast<double>(channels.dead) / static_cast<double>(channels.all));
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
