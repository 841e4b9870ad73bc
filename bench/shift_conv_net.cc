// Convolutional nets quantized after training, of integers and shifts only, against the same net in float (oneDNN).
//
//   ./bazelw run //bench:shift_conv_net -- --benchmark_repetitions=5
//
// Names: NET_float/batch:B and NET_shiftK/batch:B, on one thread. NET_float is the recipe NET with its initial weights,
// after one batch in training, frozen, and NET_shiftK the same net quantized to K bits on 50 random images. The
// interpreter runs both from 8-bit pixels. Counters: images/s; model_bytes. Before anything is timed, float logits are
// compared with the graph's, and those of integers, which differ by design, have to be near them.

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/frozen_net.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/bench/random_images.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/export/quantize_net.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/runtime/interpreter.h"

namespace bitgrad {
namespace {

constexpr ImageShape kImage = {32, 32, 3};
constexpr int64_t kClasses = 10;
constexpr int64_t kCalibration = 50;
// ||O - O_hat|| / ||O|| of logits; 4 bits of untrained weights are about that far.
constexpr double kMostError[] = {0.5, 0.4, 0.3, 0.2, 0.1};

absl::StatusOr<std::unique_ptr<Model>> MakeNet(const char* recipe_name, ParameterStore& store) {
  BITGRAD_ASSIGN_OR_RETURN(const recipe::Recipe recipe, LoadRecipe(recipe_name));
  return MakeNetwork(recipe.model(), kImage, kClasses, store);
}

class ShiftNet {
 public:
  ShiftNet(const char* recipe, int bits, int64_t batch) : context_({.threads = 1}), input_(batch, kImage.features()) {
    status_ = Prepare(recipe, bits);
  }

  void Time(benchmark::State& state) {
    if (!status_.ok()) {
      state.SkipWithError(std::string(status_.message()).c_str());
      return;
    }
    const double seconds = SecondsPerIteration(state, [&] {
      auto logits = interpreter_->RunPixels(input_.pixels.matrix<uint8_t>());
      benchmark::DoNotOptimize(logits);
    });
    state.counters["images/s"] = static_cast<double>(input_.pixels.shape().dim(0)) / seconds;
    state.counters["model_bytes"] = static_cast<double>(model_->byte_size());
  }

 private:
  absl::Status Prepare(const char* recipe, int bits) {
    ParameterStore store(/*seed=*/1);
    BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Model> net, MakeNet(recipe, store));
    BITGRAD_RETURN_IF_ERROR(store.status());
    const RandomImages calibration(kCalibration, kImage.features());
    {
      Tape tape(context_);
      const Var logits = net->Forward(tape.Input(calibration.images.Alias()));
      BITGRAD_RETURN_IF_ERROR(tape.Value(logits).status());
    }
    BITGRAD_ASSIGN_OR_RETURN(const QuantizedNet quantized,
                             QuantizeNet(context_, *net, calibration.images, {.bits = bits, .name = "net"}));
    BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, quantized.writer.Serialize());
    BITGRAD_ASSIGN_OR_RETURN(model_, PackedModel::FromBytes("net", bytes));
    BITGRAD_ASSIGN_OR_RETURN(interpreter_, Interpreter::Create(*model_, context_));
    BITGRAD_ASSIGN_OR_RETURN(const Tensor logits, Logits(context_, *net, input_.images));
    BITGRAD_ASSIGN_OR_RETURN(const Tensor integers, interpreter_->RunPixels(input_.pixels.matrix<uint8_t>()));
    double error = 0, norm = 0;
    for (int64_t i = 0; i < logits.num_elements(); ++i) {
      const double o = logits.data<float>()[i], difference = o - integers.data<float>()[i];
      error += difference * difference;
      norm += o * o;
    }
    if (std::sqrt(error / norm) <= kMostError[bits - kLeastQuantizedBits]) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat("the logits of integers differ from the graph's by ", std::sqrt(error / norm), " of their norm"));
  }

  ExecContext context_;
  RandomImages input_;
  std::unique_ptr<PackedModel> model_;
  std::unique_ptr<Interpreter> interpreter_;
  absl::Status status_;
};

void RunFloat(benchmark::State& state, const std::string& name, const char* recipe, int64_t batch) {
  static Last<FrozenNet> last;
  const auto make = [&](ParameterStore& store) { return MakeNet(recipe, store); };
  last.Get(name,
           [&] {
             return std::make_unique<FrozenNet>(make, kImage.features(), batch, Device::kCpu, /*threads=*/1,
                                                /*exact=*/false);
           })
      .Time(state);
}

void RunShift(benchmark::State& state, const std::string& name, const char* recipe, int bits, int64_t batch) {
  static Last<ShiftNet> last;
  last.Get(name, [&] { return std::make_unique<ShiftNet>(recipe, bits, batch); }).Time(state);
}

absl::Status Register() {
  for (const int64_t batch : {1, 10, 100}) {
    for (const char* recipe : {"cifar10_float_vgg_tiny", "cifar10_float_vgg"}) {
      const std::string name = absl::StrCat(recipe, "_float/batch:", batch);
      benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { RunFloat(state, name, recipe, batch); })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
      for (const int bits : {8, 4}) {
        const std::string shift = absl::StrCat(recipe, "_shift", bits, "/batch:", batch);
        benchmark::RegisterBenchmark(shift.c_str(),
                                     [=](benchmark::State& state) { RunShift(state, shift, recipe, bits, batch); })
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
