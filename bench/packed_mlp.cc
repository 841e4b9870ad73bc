// A whole net, 784-1024-1024-1024-10: frozen on packed bits against the same net in float (oneDNN), per batch size.
//
//   ./bazelw run //bench:packed_mlp -- --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
//
// Workloads: FloatMlp/batch/threads (frozen float net, sgemm), PackedMlp/batch/threads (8-bit pixels in, packed inside).
// Both run by the interpreter from 8-bit pixels. Reported: images/s (the counter). Before timing, the packed net's
// logits are compared with the graph's and have to be equal to the last bit.

#include <cstdint>
#include <memory>
#include <string>

#include "benchmark/benchmark.h"
#include "core/exec_context.h"
#include "core/rng.h"
#include "data/normalize.h"
#include "export/freeze.h"
#include "models/mlp.h"
#include "models/training/evaluate.h"
#include "ops/quantizers/list.h"
#include "runtime/interpreter.h"

namespace bitgrad {
namespace {

constexpr int64_t kFeatures = 784;

struct Net {
  Net(bool packed, int64_t batch, int threads)
      : context({.threads = threads}), store(1), pixels({batch, kFeatures}, DType::kUint8) {
    MlpOptions options{.features = kFeatures, .hidden = {1024, 1024, 1024}, .classes = 10};
    if (packed) {
      options.input = KBit(8);
      options.weight = options.activation_quantizer = Sign();
    } else {
      options.activation = "relu";
    }
    Mlp mlp(store.Root(), options);
    const RngStream rng{.seed = 3};
    Tensor images({batch, kFeatures}, DType::kFloat32);
    for (int64_t i = 0; i < pixels.num_elements(); ++i) {
      pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(RandomWord(rng, i));
      images.mutable_data<float>()[i] = NormalizePixel(pixels.data<uint8_t>()[i]);
    }
    const auto writer = Freeze(context, mlp, images, {.name = "mlp"});
    const auto bytes = writer.ok() ? writer->Serialize() : writer.status();
    auto opened = bytes.ok() ? PackedModel::FromBytes("mlp", *bytes) : bytes.status();
    if (!opened.ok()) return;
    model = *std::move(opened);
    auto created = Interpreter::Create(*model, context);
    if (!created.ok()) return;
    interpreter = *std::move(created);
    const auto graph = Logits(context, mlp, images);
    const auto frozen = interpreter->RunPixels(pixels.matrix<uint8_t>());
    agrees = graph.ok() && frozen.ok() && (!packed || graph->span<float>() == frozen->span<float>());
  }

  ExecContext context;
  ParameterStore store;
  Tensor pixels;
  std::unique_ptr<PackedModel> model;
  std::unique_ptr<Interpreter> interpreter;
  bool agrees = false;
};

void RunNet(benchmark::State& state, bool packed) {
  Net net(packed, state.range(0), static_cast<int>(state.range(1)));
  if (!net.agrees) {
    state.SkipWithError("the frozen net does not give the graph's answers");
    return;
  }
  for (auto _ : state) {
    auto logits = net.interpreter->RunPixels(net.pixels.matrix<uint8_t>());
    benchmark::DoNotOptimize(logits);
  }
  state.counters["images/s"] = benchmark::Counter(static_cast<double>(state.range(0)),
                                                  benchmark::Counter::kIsIterationInvariantRate);
}

void FloatMlp(benchmark::State& state) { RunNet(state, false); }
void PackedMlp(benchmark::State& state) { RunNet(state, true); }

void Batches(benchmark::internal::Benchmark* bench) {
  bench->ArgsProduct({{1, 10, 100, 1000}, {1, 2}})->UseRealTime()->Unit(benchmark::kMicrosecond);
}
BENCHMARK(FloatMlp)->Apply(Batches);
BENCHMARK(PackedMlp)->Apply(Batches);

}  // namespace
}  // namespace bitgrad
