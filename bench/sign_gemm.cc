// The products of a binary layer's backward pass, in which one operand is packed signs, against oneDNN's sgemm on the
// same values as floats.
//
//   ./bazelw run //bench:sign_gemm -- --benchmark_repetitions=5
//
// Names: WORKLOAD/BATCHxOUTxIN/threads:T, for hidden layers of width 1024 and 4096. Workloads, with two products each:
//   SgemmDx, SgemmDw  float gradient times signs unpacked beforehand: the baselines of dx = dy w and dw = dy^T x
//   FloatDx, FloatDw  float gradient times packed signs (exact gradients)
//   Int8Dx, Int8Dw    int8 gradient times packed signs (gradients rounded to 8 bits; the rounding is not timed)
// Counter: GMAC/s. Before anything is timed, results are compared with sgemm's. Gradients are integers below 128, so
// all sums are exact in float, and none may differ.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

struct Layer {
  int64_t batch, out, in;
};
constexpr Layer kLayers[] = {{10, 1024, 1024}, {100, 1024, 1024}, {1000, 1024, 1024}, {100, 4096, 4096}};

// Signs as floats and as bits.
struct Signs {
  Signs(ExecContext& context, uint32_t stream, int64_t rows, int64_t cols)
      : floats({rows, cols}, DType::kFloat32), bits(rows, cols) {
    const RngStream rng{.seed = 7, .stream = stream};
    for (int64_t i = 0; i < rows * cols; ++i) {
      floats.mutable_data<float>()[i] = RandomWord(rng, static_cast<uint64_t>(i)) & 1 ? 1.0f : -1.0f;
    }
    KernelsFor(Device::kCpu).pack_signs(context, floats.matrix<float>(), bits.mutable_view(), {});
  }
  Tensor floats;
  BitMatrix bits;
};

class Problem {
 public:
  explicit Problem(const Layer& layer)
      : macs_(static_cast<double>(layer.batch * layer.out * layer.in)),
        w_(setup_, 1, layer.out, layer.in),
        x_(setup_, 2, layer.batch, layer.in),
        dy_({layer.batch, layer.out}, DType::kFloat32),
        dy_int8_({layer.batch, layer.out}, DType::kInt8),
        dy_transposed_int8_({layer.out, layer.batch}, DType::kInt8),
        ones_(static_cast<size_t>(std::max(layer.batch, layer.out)), 1.0f),
        dx_({layer.batch, layer.in}, DType::kFloat32),
        dw_({layer.out, layer.in}, DType::kFloat32) {
    const RngStream rng{.seed = 7, .stream = 3};
    for (int64_t i = 0; i < layer.batch; ++i) {
      for (int64_t j = 0; j < layer.out; ++j) {
        const int value = static_cast<int>(UniformBelow(rng, static_cast<uint64_t>(i * layer.out + j), 255)) - 127;
        dy_.mutable_matrix<float>().at(i, j) = static_cast<float>(value);
        dy_int8_.mutable_matrix<int8_t>().at(i, j) = static_cast<int8_t>(value);
        dy_transposed_int8_.mutable_matrix<int8_t>().at(j, i) = static_cast<int8_t>(value);
      }
    }
    SgemmDx(setup_);
    SgemmDw(setup_);
    const Tensor dx = dx_.Clone(), dw = dw_.Clone();
    const auto check = [&](const char* workload, const Tensor& result, const Tensor& expected) {
      if (result.span<float>() != expected.span<float>() && wrong_.empty()) wrong_ = workload;
    };
    FloatDx(setup_), check("FloatDx", dx_, dx);
    FloatDw(setup_), check("FloatDw", dw_, dw);
    Int8Dx(setup_), check("Int8Dx", dx_, dx);
    Int8Dw(setup_), check("Int8Dw", dw_, dw);
  }

  double macs() const { return macs_; }
  // The workload whose result differed from sgemm's; empty if none did.
  const std::string& wrong() const { return wrong_; }

  void SgemmDx(ExecContext& context) {
    kernels_.gemm_f32(context, false, false, 1.0f, dy_.matrix<float>(), w_.floats.matrix<float>(), 0.0f,
                      dx_.mutable_matrix<float>());
  }
  void SgemmDw(ExecContext& context) {
    kernels_.gemm_f32(context, true, false, 1.0f, dy_.matrix<float>(), x_.floats.matrix<float>(), 0.0f,
                      dw_.mutable_matrix<float>());
  }
  void FloatDx(ExecContext& context) {
    kernels_.sign_gemm_f32(context, false, 1.0f, dy_.matrix<float>(), w_.bits.view(), dx_.mutable_matrix<float>(),
                           nullptr);
  }
  void FloatDw(ExecContext& context) {
    kernels_.sign_gemm_f32(context, true, 1.0f, dy_.matrix<float>(), x_.bits.view(), dw_.mutable_matrix<float>(),
                           nullptr);
  }
  void Int8Dx(ExecContext& context) {
    kernels_.sign_gemm_s8(context, ones_.data(), dy_int8_.matrix<int8_t>(), w_.bits.view(), dx_.mutable_matrix<float>(),
                          nullptr);
  }
  void Int8Dw(ExecContext& context) {
    kernels_.sign_gemm_s8(context, ones_.data(), dy_transposed_int8_.matrix<int8_t>(), x_.bits.view(),
                          dw_.mutable_matrix<float>(), nullptr);
  }

 private:
  const Kernels& kernels_ = KernelsFor(Device::kCpu);
  ExecContext setup_;
  double macs_;
  Signs w_, x_;
  Tensor dy_, dy_int8_, dy_transposed_int8_;
  std::vector<float> ones_;  // scales of 1
  Tensor dx_, dw_;
  std::string wrong_;
};

struct Workload {
  const char* name;
  void (Problem::*run)(ExecContext&);
};
constexpr Workload kWorkloads[] = {{"SgemmDx", &Problem::SgemmDx}, {"FloatDx", &Problem::FloatDx},
                                   {"Int8Dx", &Problem::Int8Dx},   {"SgemmDw", &Problem::SgemmDw},
                                   {"FloatDw", &Problem::FloatDw}, {"Int8Dw", &Problem::Int8Dw}};

void Run(benchmark::State& state, const Layer& layer, const Workload& workload, int threads) {
  static Last<Problem> last;
  Problem& problem = last.Get(absl::StrCat(layer.batch, "x", layer.out, "x", layer.in),
                              [&] { return std::make_unique<Problem>(layer); });
  if (!problem.wrong().empty()) {
    state.SkipWithError((problem.wrong() + " differs from sgemm").c_str());
    return;
  }
  ExecContext context({.threads = threads});
  const double seconds = SecondsPerIteration(state, [&] { (problem.*workload.run)(context); });
  if (!context.status().ok()) state.SkipWithError(std::string(context.status().message()).c_str());
  state.counters["GMAC/s"] = problem.macs() * 1e-9 / seconds;
}

absl::Status Register() {
  for (const Layer& layer : kLayers) {
    for (const int threads : {1, 2}) {
      for (const Workload& workload : kWorkloads) {
        const std::string name =
            absl::StrCat(workload.name, "/", layer.batch, "x", layer.out, "x", layer.in, "/threads:", threads);
        benchmark::RegisterBenchmark(
            name.c_str(),
            [&layer, &workload, threads](benchmark::State& state) { Run(state, layer, workload, threads); })
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
