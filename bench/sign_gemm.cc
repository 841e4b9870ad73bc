// The products of a binary layer's backward pass, in which one operand is packed signs, against oneDNN's sgemm on the
// same values as floats.
//
//   ./bazelw run //bench:sign_gemm -- --benchmark_repetitions=5
//
// Names: WORKLOAD/BATCHxOUTxIN/threads:T, for hidden layers of width 1024 and 4096. Workloads, with two products each:
//   SgemmDx, SgemmDw  float gradient times signs unpacked beforehand: the baselines of dx = dy w and dw = dy^T x
//   FloatDx, FloatDw  float gradient times packed signs (exact gradients)
//   Int8Dx, Int8Dw    int8 gradient times packed signs (gradients rounded to 8 bits; the rounding is not timed)
//   3BitDx, 3BitDw    the same with gradients rounded to 3 bits, -3 .. 3
//   2BitDx, 2BitDw    the same with gradients rounded to 2 bits, -1 .. 1
// Counter: GMAC/s. Before anything is timed, results are compared with sgemm's, those of 2 and 3 bits with those of the
// same codes without the bound on their size. Gradients are integers below 128, so all sums are exact in float, and
// none may differ.

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

// A gradient [batch, out] of random codes -max_code .. max_code, and its transpose.
struct Codes {
  Codes(const Layer& layer, int max_code)
      : max_code(max_code),
        codes({layer.batch, layer.out}, DType::kInt8),
        transposed({layer.out, layer.batch}, DType::kInt8) {
    const RngStream rng{.seed = 7, .stream = 3};
    for (int64_t i = 0; i < layer.batch; ++i) {
      for (int64_t j = 0; j < layer.out; ++j) {
        const uint64_t at = static_cast<uint64_t>(i * layer.out + j);
        const int code = static_cast<int>(UniformBelow(rng, at, 2 * max_code + 1)) - max_code;
        codes.mutable_matrix<int8_t>().at(i, j) = static_cast<int8_t>(code);
        transposed.mutable_matrix<int8_t>().at(j, i) = static_cast<int8_t>(code);
      }
    }
  }
  int max_code;
  Tensor codes, transposed;
};

class Problem {
 public:
  explicit Problem(const Layer& layer)
      : macs_(static_cast<double>(layer.batch * layer.out * layer.in)),
        w_(setup_, 1, layer.out, layer.in),
        x_(setup_, 2, layer.batch, layer.in),
        dy_({layer.batch, layer.out}, DType::kFloat32),
        dy_int8_(layer, 127),
        dy_3bit_(layer, 3),
        dy_2bit_(layer, 1),
        ones_(static_cast<size_t>(std::max(layer.batch, layer.out)), 1.0f),
        dx_({layer.batch, layer.in}, DType::kFloat32),
        dw_({layer.out, layer.in}, DType::kFloat32) {
    for (int64_t i = 0; i < layer.batch * layer.out; ++i) {
      dy_.mutable_data<float>()[i] = static_cast<float>(dy_int8_.codes.data<int8_t>()[i]);
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
    const auto check_small = [&](const char* workload, const Codes& dy) {
      CodesDx(setup_, dy, 127), CodesDw(setup_, dy, 127);
      const Tensor any_dx = dx_.Clone(), any_dw = dw_.Clone();
      CodesDx(setup_, dy, dy.max_code), check(workload, dx_, any_dx);
      CodesDw(setup_, dy, dy.max_code), check(workload, dw_, any_dw);
    };
    check_small("3Bit", dy_3bit_), check_small("2Bit", dy_2bit_);
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
  void Int8Dx(ExecContext& context) { CodesDx(context, dy_int8_, dy_int8_.max_code); }
  void Int8Dw(ExecContext& context) { CodesDw(context, dy_int8_, dy_int8_.max_code); }
  void ThreeBitDx(ExecContext& context) { CodesDx(context, dy_3bit_, dy_3bit_.max_code); }
  void ThreeBitDw(ExecContext& context) { CodesDw(context, dy_3bit_, dy_3bit_.max_code); }
  void TwoBitDx(ExecContext& context) { CodesDx(context, dy_2bit_, dy_2bit_.max_code); }
  void TwoBitDw(ExecContext& context) { CodesDw(context, dy_2bit_, dy_2bit_.max_code); }

 private:
  void CodesDx(ExecContext& context, const Codes& dy, int max_code) {
    kernels_.sign_gemm_s8(context, ones_.data(), dy.codes.matrix<int8_t>(), max_code, w_.bits.view(),
                          dx_.mutable_matrix<float>(), nullptr);
  }
  void CodesDw(ExecContext& context, const Codes& dy, int max_code) {
    kernels_.sign_gemm_s8(context, ones_.data(), dy.transposed.matrix<int8_t>(), max_code, x_.bits.view(),
                          dw_.mutable_matrix<float>(), nullptr);
  }

  const Kernels& kernels_ = KernelsFor(Device::kCpu);
  ExecContext setup_;
  double macs_;
  Signs w_, x_;
  Tensor dy_;
  Codes dy_int8_, dy_3bit_, dy_2bit_;
  std::vector<float> ones_;  // scales of 1
  Tensor dx_, dw_;
  std::string wrong_;
};

struct Workload {
  const char* name;
  void (Problem::*run)(ExecContext&);
};
constexpr Workload kWorkloads[] = {{"SgemmDx", &Problem::SgemmDx},   {"FloatDx", &Problem::FloatDx},
                                   {"Int8Dx", &Problem::Int8Dx},     {"3BitDx", &Problem::ThreeBitDx},
                                   {"2BitDx", &Problem::TwoBitDx},   {"SgemmDw", &Problem::SgemmDw},
                                   {"FloatDw", &Problem::FloatDw},   {"Int8Dw", &Problem::Int8Dw},
                                   {"3BitDw", &Problem::ThreeBitDw}, {"2BitDw", &Problem::TwoBitDw}};

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
