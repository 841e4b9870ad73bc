// Whole convolutional nets: frozen to packed bits, against the same net in float (oneDNN), by batch size.
//
//   ./bazelw run //bench:packed_conv_net -- --benchmark_repetitions=5
//   ./bazelw run //bench:cuda_frozen_conv_net        the same with --device=cuda
//
// Names: NET/batch:B/threads:T. The nets are recipes with their initial weights, after one batch in training, which
// gives batch norms their statistics and LSQ its steps: cifar10_float_vgg, the baseline, and cifar10_bnn_vgg, with
// 8-bit pixels as inputs and packed bits inside. cifar10_lsqK_vgg and cifar10_dorefaK_vgg are cifar10_bnn_vgg with the
// quantizers of LSQ and DoReFa instead, of K = 2 and 4 bits for weights and activations. The same with _tiny: the nets
// of cifar10_bnn_vgg_tiny. The interpreter runs all from 8-bit pixels.
// Counters: images/s; model_bytes, the size of the model file. Logits are compared with the graph's before anything is
// timed.
//
// On a GPU batches are larger, the time includes the upload of the pixels and the download of the logits, and the float
// net's products are cuBLASLt's in float32, not TF32.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
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

// The quantizers of a net's inner layers. Null: those of the recipe cifar10_NAME_vgg.
struct Net {
  const char* name;
  const char* activation;
  const char* weight;
};
constexpr Net kNets[] = {{"float", nullptr, nullptr},  {"bnn", nullptr, nullptr},
                         {"lsq2", "lsq(2)", "lsq(2)"}, {"dorefa2", "dorefa_activation(2)", "dorefa_weight(2)"},
                         {"lsq4", "lsq(4)", "lsq(4)"}, {"dorefa4", "dorefa_activation(4)", "dorefa_weight(4)"}};
constexpr const char* kVariants[] = {"vgg", "vgg_tiny"};

absl::StatusOr<std::unique_ptr<Model>> MakeNet(const Net& net, const char* variant, ParameterStore& store) {
  const char* const family = net.weight == nullptr ? net.name : "bnn";
  BITGRAD_ASSIGN_OR_RETURN(recipe::Recipe recipe, LoadRecipe(absl::StrCat("cifar10_", family, "_", variant)));
  if (net.weight != nullptr) {
    recipe.mutable_model()->mutable_conv_net()->set_activation_quantizer(net.activation);
    recipe.mutable_model()->mutable_conv_net()->set_weight_quantizer(net.weight);
  }
  return MakeNetwork(recipe.model(), kImage, kClasses, store);
}

void Run(benchmark::State& state, const std::string& name, const Net& description, const char* variant, int64_t batch,
         Device device, int threads) {
  static Last<FrozenNet> last;
  const auto make = [&](ParameterStore& store) { return MakeNet(description, variant, store); };
  const bool exact = std::string_view(description.name) != "float";
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
      for (const char* variant : kVariants) {
        for (const Net& net : kNets) {
          const std::string name =
              absl::StrCat("cifar10_", net.name, "_", variant, "/batch:", batch, "/threads:", threads);
          benchmark::RegisterBenchmark(
              name.c_str(),
              [=, &net](benchmark::State& state) { Run(state, name, net, variant, batch, device, threads); })
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
