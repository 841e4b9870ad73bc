// A whole recurrent net of tokens, one LSTM layer and an output layer, frozen to packed codes, against the same net in
// float (oneDNN), by the number of streams: what a token costs.
//
//   ./bazelw run //bench:packed_lstm -- --benchmark_repetitions=5
//   ./bazelw run //bench:cuda_frozen_lstm            the same with --device=cuda
//
// Names: NET/units:U/tokens:V/streams:S/threads:T. Nets: Float is the baseline; Bits4 and Bits1 have weights,
// embeddings and states of so many bits. The tiny nets (units:8/tokens:16) have the same instructions and next to no
// arithmetic: their time is what the interpreter takes to go through the program. A run is one time step of all
// streams. Counters: tokens/s; model_bytes, the size of the model file. Before anything is timed, logits of some time
// steps are compared with the graph's. Those of codes have to be equal to the last bit on the CPU, others near.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/freeze.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/recurrent_net.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/runtime/interpreter.h"

ABSL_FLAG(std::string, device, "cpu", "cpu or cuda.");

namespace bitgrad {
namespace {

struct Net {
  const char* name;
  const char *activation, *weight;
};
constexpr Net kNets[] = {
    {"Float", "identity", "identity"}, {"Bits4", "k_bit(4)", "max_abs(4)"}, {"Bits1", "sign", "xnor"}};

class FrozenLstm {
 public:
  FrozenLstm(const Net& net, int64_t units, int64_t tokens, int64_t streams, Device device, int threads)
      : graph_context_({.threads = threads}), context_({.device = device, .threads = threads}), streams_(streams) {
    logits_.resize(static_cast<size_t>(streams * tokens));
    status_ = Prepare(net, units, tokens);
  }

  void Time(benchmark::State& state) {
    if (!status_.ok()) {
      state.SkipWithError(std::string(status_.message()).c_str());
      return;
    }
    int64_t t = 0;
    const double seconds = SecondsPerIteration(state, [&] {
      const absl::Status status = Run(t++ % kSteps);
      benchmark::DoNotOptimize(status);
    });
    state.counters["tokens/s"] = static_cast<double>(streams_) / seconds;
    state.counters["model_bytes"] = static_cast<double>(model_->byte_size());
  }

 private:
  static constexpr int64_t kSteps = 64;   // different time steps
  static constexpr int64_t kChecked = 3;  // of which so many are compared

  absl::Status Run(int64_t t) {
    return interpreter_->RunTokens({tokens_.data<int32_t>() + t * streams_, 1, streams_}, logits_.data());
  }

  absl::Status Prepare(const Net& net, int64_t units, int64_t tokens) {
    BITGRAD_ASSIGN_OR_RETURN(const Quantizer activation, ParseQuantizer(net.activation));
    BITGRAD_ASSIGN_OR_RETURN(const Quantizer weight, ParseQuantizer(net.weight));
    ParameterStore store(/*seed=*/1);
    RecurrentNet model(store.Root(), {.cell = RecurrentCell::kLstm,
                                      .hidden = {units},
                                      .classes = tokens,
                                      .embedding = units,
                                      .embedding_quantizer = activation,
                                      .input = activation,
                                      .state = activation,
                                      .input_weight = weight,
                                      .hidden_weight = weight,
                                      .output = activation,
                                      .output_weight = weight});
    BITGRAD_RETURN_IF_ERROR(store.status());
    BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer,
                             Freeze(graph_context_, model, Tensor::Zeros({3}, DType::kInt32), {.name = "net"}));
    BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
    BITGRAD_ASSIGN_OR_RETURN(model_, PackedModel::FromBytes("net", bytes));
    BITGRAD_ASSIGN_OR_RETURN(interpreter_, Interpreter::Create(*model_, context_));
    tokens_ = Tensor({kSteps, streams_}, DType::kInt32);
    for (int64_t i = 0; i < tokens_.num_elements(); ++i) {
      tokens_.mutable_data<int32_t>()[i] = static_cast<int32_t>(UniformBelow(
          {.seed = 1, .purpose = RngPurpose::kTest}, static_cast<uint64_t>(i), static_cast<uint32_t>(tokens)));
    }
    const bool exact = !activation.is_identity() && context_.device() == Device::kCpu;
    StateStore states(graph_context_);
    for (int64_t t = 0; t < kChecked; ++t) BITGRAD_RETURN_IF_ERROR(CheckStep(model, states, t, exact ? 0 : 1e-4f));
    return absl::OkStatus();
  }

  absl::Status CheckStep(Model& model, StateStore& states, int64_t t, float near) {
    Tape tape(graph_context_, Mode::kEval);
    tape.set_states(&states);
    const auto tokens = tokens_.span<int32_t>().subspan(t * streams_, streams_);
    const Var logits = model.Forward(tape.Input(Tensor::Of<int32_t>({streams_}, tokens)));
    BITGRAD_ASSIGN_OR_RETURN(const Tensor* graph, tape.Value(logits));
    BITGRAD_RETURN_IF_ERROR(states.Commit());
    BITGRAD_RETURN_IF_ERROR(Run(t));
    float difference = 0;
    for (size_t i = 0; i < logits_.size(); ++i) {
      // Not std::max(difference, ...), which would ignore a NaN.
      const float d = std::fabs(graph->data<float>()[i] - logits_[i]);
      if (!(d <= difference)) difference = d;
    }
    if (difference <= near) return absl::OkStatus();
    return absl::InternalError(absl::StrCat("the frozen net's logits differ from the graph's by ", difference));
  }

  ExecContext graph_context_;  // on the CPU
  ExecContext context_;
  const int64_t streams_;
  Tensor tokens_;
  std::vector<float> logits_;
  std::unique_ptr<PackedModel> model_;
  std::unique_ptr<Interpreter> interpreter_;
  absl::Status status_;  // not OK where nothing can be timed
};

absl::Status Register() {
  BITGRAD_ASSIGN_OR_RETURN(const Device device, ParseDevice(absl::GetFlag(FLAGS_device)));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(device));
  static Last<FrozenLstm> last;
  struct Size {
    int64_t units, tokens;
  };
  for (const Size& size : {Size{8, 16}, Size{300, 10000}, Size{900, 10000}}) {
    for (const int64_t streams : {1, 20}) {
      for (const int threads : device == Device::kCpu ? std::vector<int>{1, 2} : std::vector<int>{1}) {
        for (const Net& net : kNets) {
          const std::string name = absl::StrCat(net.name, "/units:", size.units, "/tokens:", size.tokens,
                                                "/streams:", streams, "/threads:", threads);
          benchmark::RegisterBenchmark(name.c_str(),
                                       [=](benchmark::State& state) {
                                         last.Get(name,
                                                  [&] {
                                                    return std::make_unique<FrozenLstm>(net, size.units, size.tokens,
                                                                                        streams, device, threads);
                                                  })
                                             .Time(state);
                                       })
              ->UseRealTime()
              ->Unit(benchmark::kMicrosecond);
        }
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::BenchMain(argc, argv, [] { return bitgrad::Register(); });
}
