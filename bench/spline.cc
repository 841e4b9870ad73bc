// Learned linear splines beside ReLU, forward and backward, the coefficients' gradient included.
//
//   ./bazelw run //bench:spline -- --benchmark_repetitions=5
//
// Names: WORKLOAD/ROWSxCHANNELS/threads:T, for an MLP's layer, and images with few and with many channels. Workloads:
//   Relu           forward and backward: the baseline
//   Spline         the same of splines of 21 knots in [-1, 1] (KNOTS 51 with --knots=51), inputs in [-1.5, 1.5]
//   SplineForward  forward alone
// Counter: Gelem/s. Before anything is timed, a spline that is ReLU is compared with ReLU.

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/ops/dispatch.h"

ABSL_FLAG(int, knots, 21, "of each spline");
ABSL_FLAG(int, threads, 1, "of the kernels");

namespace bitgrad {
namespace {

struct Layer {
  int64_t rows, channels;
};
constexpr Layer kLayers[] = {{100, 1024}, {64 * 24 * 24, 2}, {32 * 32 * 32, 16}, {128 * 32 * 32, 16}};

class Problem {
 public:
  explicit Problem(const Layer& layer)
      : layer_(layer),
        grid_{.knots = absl::GetFlag(FLAGS_knots), .range = 1},
        x_({layer.rows, layer.channels}, DType::kFloat32),
        dy_(x_.shape(), DType::kFloat32),
        y_(x_.shape(), DType::kFloat32),
        dx_(x_.shape(), DType::kFloat32),
        c_({layer.channels, grid_.knots}, DType::kFloat32),
        dc_(c_.shape(), DType::kFloat32) {
    const RngStream rng{.seed = 7};
    for (int64_t i = 0; i < size(); ++i) {
      x_.mutable_data<float>()[i] = 3 * Uniform(rng, 2 * i) - 1.5f;
      dy_.mutable_data<float>()[i] = Uniform(rng, 2 * i + 1) - 0.5f;
    }
    for (int64_t i = 0; i < c_.num_elements(); ++i) {
      c_.mutable_data<float>()[i] =
          std::fmax(0.0f, static_cast<float>(i % grid_.knots - grid_.knots / 2) * grid_.step());
    }
  }
  int64_t size() const { return layer_.rows * layer_.channels; }

  void Relu(ExecContext& context) {
    const Kernels& kernels = KernelsFor(Device::kCpu);
    kernels.unary_forward(context, Unary::kRelu, 0, x_.data<float>(), y_.mutable_data<float>(), size());
    kernels.unary_backward(context, Unary::kRelu, 0, x_.data<float>(), dy_.data<float>(), dx_.mutable_data<float>(),
                           size());
  }
  void SplineForward(ExecContext& context) {
    KernelsFor(Device::kCpu)
        .spline_forward(context, grid_, x_.matrix<float>(), c_.data<float>(), y_.mutable_data<float>(), nullptr);
  }
  void Spline(ExecContext& context) {
    SplineForward(context);
    KernelsFor(Device::kCpu)
        .spline_backward(context, grid_, x_.matrix<float>(), c_.data<float>(), dy_.data<float>(),
                         dx_.mutable_data<float>(), dc_.mutable_data<float>());
  }
  // Whether both are ReLU.
  bool Agrees(ExecContext& context) {
    Relu(context);
    const Tensor y = y_.Clone();
    Spline(context);
    for (int64_t i = 0; i < size(); ++i) {
      if (!(std::fabs(y_.data<float>()[i] - y.data<float>()[i]) < 1e-5f)) return false;
    }
    return true;
  }

 private:
  const Layer layer_;
  const SplineGrid grid_;
  Tensor x_, dy_, y_, dx_, c_, dc_;
};

void Add(const char* name, const Layer& layer, void (Problem::*run)(ExecContext&)) {
  const int threads = absl::GetFlag(FLAGS_threads);
  benchmark::RegisterBenchmark(absl::StrCat(name, "/", layer.rows, "x", layer.channels, "/threads:", threads).c_str(),
                               [=](benchmark::State& state) {
                                 ExecContext context({.threads = threads});
                                 Problem problem(layer);
                                 if (!problem.Agrees(context)) return state.SkipWithError("the spline is not ReLU");
                                 const double seconds = SecondsPerIteration(state, [&] { (problem.*run)(context); });
                                 state.counters["Gelem/s"] = static_cast<double>(problem.size()) / seconds / 1e9;
                               });
}

absl::Status Register() {
  for (const Layer& layer : kLayers) {
    Add("Relu", layer, &Problem::Relu);
    Add("Spline", layer, &Problem::Spline);
    Add("SplineForward", layer, &Problem::SplineForward);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::BenchMain(argc, argv, [] { return bitgrad::Register(); });
}
