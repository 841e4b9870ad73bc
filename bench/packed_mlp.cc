// A whole net, 784-W-W-W-10: frozen on packed bits against the same net in float (oneDNN), per batch size.
//
//   ./bazelw run //bench:packed_mlp -- --benchmark_repetitions=5
//
// Names: NET/width:W/batch:B/threads:T. Nets: Float, the frozen float net (sgemm), the baseline; Packed, 8-bit pixels
// in and packed bits inside. Both are run by the interpreter from 8-bit pixels. Counters: images/s; model_bytes, the
// size of the model file. Before timing, the packed net's logits are compared with the graph's and have to be equal to the last
// bit, the float net's to be near (their products may be summed in another order for another number of rows).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "bench/bench_main.h"
#include "bench/last.h"
#include "bench/mlp_nets.h"
#include "benchmark/benchmark.h"
#include "core/exec_context.h"
#include "core/status_macros.h"
#include "export/freeze.h"
#include "models/mlp.h"
#include "models/training/evaluate.h"
#include "runtime/interpreter.h"

namespace bitgrad {
namespace {

// Float rounding of logits, which batch norm leaves near 1.
constexpr float kNear = 1e-3f;

class Frozen {
 public:
  Frozen(bool packed, int64_t width, int64_t batch, int threads) : context_({.threads = threads}), input_(batch) {
    status_ = Prepare(packed, width);
  }

  // OK, or why nothing can be timed.
  const absl::Status& status() const { return status_; }
  int64_t model_bytes() const { return model_->byte_size(); }

  absl::StatusOr<Tensor> Run() { return interpreter_->RunPixels(input_.pixels.matrix<uint8_t>()); }

 private:
  absl::Status Prepare(bool packed, int64_t width) {
    ParameterStore store(/*seed=*/1);
    Mlp mlp(store.Root(), packed ? BinaryMlp(width) : FloatMlp(width));
    BITGRAD_RETURN_IF_ERROR(store.status());
    BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer, Freeze(context_, mlp, input_.images, {.name = "mlp"}));
    BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
    BITGRAD_ASSIGN_OR_RETURN(model_, PackedModel::FromBytes("mlp", bytes));
    BITGRAD_ASSIGN_OR_RETURN(interpreter_, Interpreter::Create(*model_, context_));

    BITGRAD_ASSIGN_OR_RETURN(const Tensor graph, Logits(context_, mlp, input_.images));
    BITGRAD_ASSIGN_OR_RETURN(const Tensor frozen, Run());
    float difference = 0;
    for (int64_t i = 0; i < graph.num_elements(); ++i) {
      // Not std::max(difference, ..), which would pass by a NaN.
      const float d = std::fabs(graph.data<float>()[i] - frozen.data<float>()[i]);
      if (!(d <= difference)) difference = d;
    }
    if (!(difference <= (packed ? 0.0f : kNear))) {
      return absl::InternalError(absl::StrCat("the frozen net's logits differ from the graph's by ", difference));
    }
    return absl::OkStatus();
  }

  ExecContext context_;
  RandomImages input_;
  std::unique_ptr<PackedModel> model_;
  std::unique_ptr<Interpreter> interpreter_;
  absl::Status status_;
};

void Run(benchmark::State& state, const std::string& name, bool packed, int64_t width, int64_t batch, int threads) {
  static Last<Frozen> last;
  Frozen& net = last.Get(name, [&] { return std::make_unique<Frozen>(packed, width, batch, threads); });
  if (!net.status().ok()) {
    state.SkipWithError(std::string(net.status().message()).c_str());
    return;
  }
  const double seconds = SecondsPerIteration(state, [&] {
    auto logits = net.Run();
    benchmark::DoNotOptimize(logits);
  });
  state.counters["images/s"] = static_cast<double>(batch) / seconds;
  state.counters["model_bytes"] = static_cast<double>(net.model_bytes());
}

absl::Status Register() {
  for (const int64_t width : {1024, 4096}) {
    for (const int64_t batch : {1, 10, 100, 1000}) {
      for (const int threads : {1, 2}) {
        for (const bool packed : {false, true}) {
          const std::string name = absl::StrCat(packed ? "Packed" : "Float", "/width:", width, "/batch:", batch,
                                                "/threads:", threads);
          benchmark::RegisterBenchmark(name.c_str(),
                                       [=](benchmark::State& state) {
                                         Run(state, name, packed, width, batch, threads);
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
