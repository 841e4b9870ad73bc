// The state behind a Tape and its Vars. Private to graph/.

#ifndef BITGRAD_GRAPH_TAPE_CORE_H_
#define BITGRAD_GRAPH_TAPE_CORE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "bitgrad/core/device_array.h"
#include "bitgrad/graph/tape.h"

namespace bitgrad {

struct Tape::Core {
  Core(Tape* tape, ExecContext& context, Mode mode) : tape(tape), context(context), mode(mode) {}

  bool valid(int32_t index, uint32_t g) const {
    return tape != nullptr && g == generation && index >= 0 && index < static_cast<int32_t>(nodes.size());
  }

  Tape* tape;              // null once the Tape is gone
  int64_t references = 1;  // the Tape and every living Var
  ExecContext& context;
  const Mode mode;
  uint32_t generation = 1;
  std::vector<Node> nodes;
  // A node that is no op's result, and its value as it was then.
  struct Leaf {
    int32_t node;
    Tensor::Version version;
  };
  bool IsChanged(const Leaf& leaf) const;
  absl::Status ChangedError(const Leaf& leaf) const;
  std::vector<Leaf> leaves;                                  // in the order of their nodes
  absl::flat_hash_map<const Parameter*, size_t> parameters;  // index into `leaves`
  StateStore* states = nullptr;
  std::vector<StateUse> state_uses;
  std::string layer;
  absl::Status status;
  bool backward_done = false;
  bool check_finite = false;
  absl::AnyInvocable<void(const OpEvent& event)> op_listener;
  uint32_t random_streams = 0;
  LayerArithmetic& ArithmeticOf(const std::string& layer);
  std::vector<LayerArithmetic> arithmetic;
  const GradientArithmetic* gradient_arithmetic = nullptr;
  absl::flat_hash_map<int32_t, std::vector<Var>> kept_results;  // of leaves
  std::vector<CounterValue> counters;
  // The counts of the last `unread` counters, kCounters in each array. Tape::counters() reads and drops them.
  static constexpr int64_t kCounters = 64;
  std::vector<std::unique_ptr<DeviceArray<int64_t>>> device_counters;
  int64_t unread = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_TAPE_CORE_H_
