// Whole convolutional nets: frozen to packed bits, against the same net in float (oneDNN), by batch size.
//
//   ./bazelw run //bench:packed_conv_net -- --benchmark_repetitions=5
//   ./bazelw run //bench:cuda_frozen_conv_net        the same with --device=cuda
//
// Names: NET/batch:B/threads:T. The nets are recipes with their initial weights: cifar10_float_vgg, the baseline, and
// cifar10_bnn_vgg, with 8-bit pixels as inputs and packed bits inside. The interpreter runs both from 8-bit pixels.
// Counters: images/s; model_bytes, the size of the model file. Logits are compared with the graph's before anything is
// timed.
//
// On a GPU batches are larger, the time includes the upload of the pixels and the download of the logits, and the float
// net's products are cuBLASLt's in float32, not TF32.

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
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/ops/dispatch.h"

ABSL_FLAG(std::string, device, "cpu", "cpu or cuda.");

namespace bitgrad {
namespace {

constexpr ImageShape kImage = {32, 32, 3};
constexpr int64_t kClasses = 10;

void Run(benchmark::State& state, const std::string& name, const std::string& recipe_name, int64_t batch, Device device,
         int threads) {
  static Last<FrozenNet> last;
  const auto make = [&](ParameterStore& store) -> absl::StatusOr<std::unique_ptr<Model>> {
    BITGRAD_ASSIGN_OR_RETURN(const recipe::Recipe recipe, LoadRecipe(recipe_name));
    return MakeNetwork(recipe.model(), kImage, kClasses, store);
  };
  const bool exact = recipe_name == "cifar10_bnn_vgg";
  FrozenNet& net = last.Get(
      name, [&] { return std::make_unique<FrozenNet>(make, kImage.features(), batch, device, threads, exact); });
  net.Time(state);
}

absl::Status Register() {
  BITGRAD_ASSIGN_OR_RETURN(const Device device, ParseDevice(absl::GetFlag(FLAGS_device)));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(device));
  const bool cpu = device == Device::kCpu;
  for (const int64_t batch : cpu ? std::vector<int64_t>{1, 10, 100} : std::vector<int64_t>{1, 100, 10000}) {
    for (const int threads : cpu ? std::vector<int>{1, 2} : std::vector<int>{1}) {
      for (const char* recipe : {"cifar10_float_vgg", "cifar10_bnn_vgg"}) {
        const std::string name = absl::StrCat(recipe, "/batch:", batch, "/threads:", threads);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& state) { Run(state, name, recipe, batch, device, threads); })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
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
