// A convolution of one tap per kernel against the dense 3x3 convolution that it takes the place of, one after the other
// in one run.
//
//   ./bazelw run //bench:tap_convolution -- --benchmark_repetitions=5
//
// Names of benchmarks: WORKLOAD/HEIGHTxCHANNELS/batch:N/threads:T, square images, as many filters as channels, a border
// of zeros. Workloads:
//   Dense    the float convolution that the runtime runs for conv2d instructions (ops/conv_kernel.h, oneDNN)
//   OneDnn   oneDNN's direct f32 convolution, with operands in the layouts that it prefers; its preparations, and the
//            change of layouts, are not timed
//   Taps     the kernel of tap_conv2d (runtime/tap_convolution.h), with the changes of layout that it makes
//
// Before anything of a shape is timed, Taps is compared with Dense of the same kernels, of small integers, so that both
// are exact.
//
// Counter: GMAC/s, of the multiply-accumulates that the workload has: a ninth for Taps.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/runtime/tap_convolution.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace bitgrad {
namespace {

using dnnl::memory;

struct Shape2d {
  int64_t size, channels;
};

// The inner layers of cifar10_sal_resnet20_small, of twice its width, of imagenet_sal_resnet's kind, and of
// cifar10_sal_resnet20.
constexpr Shape2d kShapes[] = {{32, 16}, {16, 32},  {8, 64},  {32, 32},  {16, 64}, {8, 128},
                               {56, 64}, {14, 256}, {32, 83}, {16, 166}, {8, 332}};

// oneDNN's direct convolution of float operands, in the layouts that it prefers.
class OneDnnConvolution {
 public:
  explicit OneDnnConvolution(const ConvGeometry& g)
      : engine_(dnnl::engine::kind::cpu, 0),
        stream_(engine_),
        primitive_(Make(dnnl::convolution_forward::desc(
            dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
            Any({g.batch, g.channels, g.height, g.width}),
            Any({g.filters, g.channels, g.kernel_height, g.kernel_width}),
            Any({g.batch, g.filters, g.out_height(), g.out_width()}), {g.stride_height, g.stride_width},
            {g.pad_height, g.pad_width}, {g.pad_height, g.pad_width}))) {}
  void Run() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  static memory::desc Any(const memory::dims& dims) { return {dims, memory::data_type::f32, memory::format_tag::any}; }
  dnnl::convolution_forward Make(const dnnl::convolution_forward::desc& desc) {
    const dnnl::convolution_forward::primitive_desc chosen(desc, engine_);
    const auto add = [&](int argument, const memory::desc& layout) {
      memory memory(layout, engine_);
      std::fill_n(static_cast<float*>(memory.get_data_handle()), layout.get_size() / sizeof(float), 1.0f);
      arguments_.emplace(argument, memory);
    };
    add(DNNL_ARG_SRC, chosen.src_desc());
    add(DNNL_ARG_WEIGHTS, chosen.weights_desc());
    add(DNNL_ARG_DST, chosen.dst_desc());
    return dnnl::convolution_forward(chosen);
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  std::unordered_map<int, memory> arguments_;
  dnnl::convolution_forward primitive_;
};

class Layer {
 public:
  Layer(const Shape2d& shape, int64_t batch, int threads)
      : context_({.threads = threads}),
        g_{.batch = batch,
           .height = shape.size,
           .width = shape.size,
           .channels = shape.channels,
           .filters = shape.channels,
           .kernel_height = 3,
           .kernel_width = 3,
           .pad_height = 1,
           .pad_width = 1},
        x_(static_cast<size_t>(batch * shape.size * shape.size * shape.channels)),
        w_(static_cast<size_t>(shape.channels * 9 * shape.channels)),
        y_(x_.size()) {
    const RngStream rng{.seed = 5};
    for (size_t j = 0; j < x_.size(); ++j) x_[j] = static_cast<float>(UniformBelow(rng, j, 15)) - 7;
    std::vector<float> kept;
    std::vector<uint8_t> taps;
    for (int64_t o = 0; o < g_.filters; ++o) {
      for (int64_t i = 0; i < g_.channels; ++i) {
        const auto j = x_.size() + static_cast<size_t>(o * g_.channels + i);
        taps.push_back(static_cast<uint8_t>(UniformBelow(rng, 2 * j, 9)));
        kept.push_back(static_cast<float>(UniformBelow(rng, 2 * j + 1, 7)) + 1);
        w_[static_cast<size_t>((o * 9 + taps.back()) * g_.channels + i)] = kept.back();
      }
    }
    taps_ = std::make_unique<TapConvolution>(g_, kept.data(), taps.data());
    Dense();
    const std::vector<float> dense = y_;
    Taps();
    is_right_ = y_ == dense;
    omp_set_num_threads(threads);
    onednn_ = std::make_unique<OneDnnConvolution>(g_);
  }

  bool is_right() const { return is_right_; }
  double macs() const { return static_cast<double>(g_.macs()); }
  void Dense() { FloatConvolution(context_, g_, 0.0f, x_.data(), w_.data(), y_.data()); }
  void OneDnn() { onednn_->Run(); }
  void Taps() { taps_->Run(context_, g_.batch, x_.data(), y_.data()); }

 private:
  ExecContext context_;
  const ConvGeometry g_;
  std::vector<float> x_, w_, y_;
  std::unique_ptr<TapConvolution> taps_;
  std::unique_ptr<OneDnnConvolution> onednn_;
  bool is_right_ = false;
};

Last<Layer>& LastLayer() {
  static auto& last = *new Last<Layer>;
  return last;
}

void Register() {
  const struct {
    const char* name;
    void (Layer::*run)();
    double share;  // of the dense multiply-accumulates
  } workloads[] = {{"Dense", &Layer::Dense, 1}, {"OneDnn", &Layer::OneDnn, 1}, {"Taps", &Layer::Taps, 1.0 / 9}};
  for (const int threads : {1, 2}) {
    for (const int64_t batch : {1, 8}) {
      for (const Shape2d& shape : kShapes) {
        const std::string key = absl::StrCat(shape.size, "x", shape.channels, "/batch:", batch, "/threads:", threads);
        for (const auto& workload : workloads) {
          benchmark::RegisterBenchmark(absl::StrCat(workload.name, "/", key).c_str(), [=](benchmark::State& state) {
            Layer& layer = LastLayer().Get(key, [&] { return std::make_unique<Layer>(shape, batch, threads); });
            if (!layer.is_right()) return state.SkipWithError("Taps differs from Dense");
            const double seconds = SecondsPerIteration(state, [&] { (layer.*workload.run)(); });
            state.counters["GMAC/s"] = layer.macs() * workload.share / seconds / 1e9;
          })->UseRealTime();
        }
      }
    }
  }
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::BenchMain(argc, argv, [] {
    bitgrad::Register();
    return absl::OkStatus();
  });
}
