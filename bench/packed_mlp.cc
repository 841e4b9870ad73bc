// A whole net, 784-W-W-W-10: frozen to packed bits, against the same net in float (oneDNN), by batch size.
//
//   ./bazelw run //bench:packed_mlp -- --benchmark_repetitions=5
//   ./bazelw run //bench:cuda_frozen_mlp             the same with --device=cuda
//
// Names: NET/width:W/batch:B/threads:T. Nets: Float, the frozen float net (oneDNN), is the baseline; Packed has 8-bit
// pixels as inputs and packed bits inside. The interpreter runs both from 8-bit pixels. Counters: images/s;
// model_bytes, the size of the model file. Before anything is timed, logits are compared with the graph's. The packed
// net's have to be equal to the last bit, the float net's have to be near (its products may be summed in another order
// for another number of rows).
//
// On a GPU batches are larger, the time includes the upload of the pixels and the download of the logits, and Float
// uses cuBLASLt's float32, not TF32.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/frozen_net.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/bench/mlp_nets.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/ops/dispatch.h"

ABSL_FLAG(std::string, device, "cpu", "cpu or cuda.");

namespace bitgrad {
namespace {

void Run(benchmark::State& state, const std::string& name, bool packed, int64_t width, int64_t batch, Device device,
         int threads) {
  static Last<FrozenNet> last;
  const auto make = [&](ParameterStore& store) -> absl::StatusOr<std::unique_ptr<Model>> {
    return std::make_unique<Mlp>(store.Root(), packed ? BinaryMlp(width) : FloatMlp(width));
  };
  FrozenNet& net = last.Get(
      name, [&] { return std::make_unique<FrozenNet>(make, kFeatures, batch, device, threads, /*exact=*/packed); });
  net.Time(state);
}

absl::Status Register() {
  BITGRAD_ASSIGN_OR_RETURN(const Device device, ParseDevice(absl::GetFlag(FLAGS_device)));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(device));
  const bool cpu = device == Device::kCpu;
  for (const int64_t width : {1024, 4096}) {
    for (const int64_t batch :
         cpu ? std::vector<int64_t>{1, 10, 100, 1000} : std::vector<int64_t>{1, 100, 10000, 100000}) {
      for (const int threads : cpu ? std::vector<int>{1, 2} : std::vector<int>{1}) {
        for (const bool packed : {false, true}) {
          const std::string name =
              absl::StrCat(packed ? "Packed" : "Float", "/width:", width, "/batch:", batch, "/threads:", threads);
          benchmark::RegisterBenchmark(
              name.c_str(), [=](benchmark::State& state) { Run(state, name, packed, width, batch, device, threads); })
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
