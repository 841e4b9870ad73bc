// Packed GEMM against oneDNN's sgemm on the same shapes, one after the other in one run.
//
//   ./bazelw run //bench:packed_gemm -- --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
//
// Workloads, m x n x k:
//   Sgemm/..            float GEMM through the gemm_f32 kernel (the baseline)
//   Packed/..           +-1 x +-1 from packed operands to int32
//   PackAndMultiply/..  the same from float activations: packing included, as a layer does it
// Reported: GMAC/s (the counter), medians over repetitions. Operands are random bits; each result is checked against the
// float product before anything is timed. Arguments: m, n, k, threads.

#include <array>
#include <cstdint>

#include "benchmark/benchmark.h"
#include "core/bit_matrix.h"
#include "core/exec_context.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "ops/dispatch.h"

namespace bitgrad {
namespace {

// a [m, k] and b [n, k] of +-1, as floats and as bits, and whether the kernels agree on their product.
struct Problem {
  explicit Problem(const benchmark::State& state)
      : context({.threads = static_cast<int>(state.range(3))}),
        kernels(KernelsFor(Device::kCpu)),
        m(state.range(0)),
        n(state.range(1)),
        k(state.range(2)),
        a({m, k}, DType::kFloat32),
        b({n, k}, DType::kFloat32),
        c({m, n}, DType::kFloat32),
        dots({m, n}, DType::kInt32),
        a_bits(m, k),
        b_bits(n, k) {
    Fill(1, a);
    Fill(2, b);
    kernels.pack_signs(context, a.matrix<float>(), a_bits.mutable_view(), {});
    kernels.pack_signs(context, b.matrix<float>(), b_bits.mutable_view(), {});
    Sgemm();
    Packed();
    for (int64_t i = 0; i < m * n; ++i) {
      agrees &= c.data<float>()[i] == static_cast<float>(dots.data<int32_t>()[i]);
    }
  }

  static void Fill(uint32_t stream, Tensor& t) {
    const RngStream rng{.seed = 7, .stream = stream};
    for (int64_t i = 0; i < t.num_elements(); ++i) {
      t.mutable_data<float>()[i] = RandomWord(rng, i) & 1 ? 1.0f : -1.0f;
    }
  }

  void Sgemm() {
    kernels.gemm_f32(context, false, true, 1.0f, a.matrix<float>(), b.matrix<float>(), 0.0f,
                     c.mutable_matrix<float>());
  }
  void Packed() {
    kernels.packed_gemm_i32(context, a_bits.view(), b_bits.view(), 0, false,
                            dots.mutable_matrix<int32_t>());
  }
  void Pack() { kernels.pack_signs(context, a.matrix<float>(), a_bits.mutable_view(), {}); }

  ExecContext context;
  const Kernels& kernels;
  int64_t m, n, k;
  Tensor a, b, c, dots;
  BitMatrix a_bits, b_bits;
  bool agrees = true;
};

template <typename Body>
void Run(benchmark::State& state, Body body) {
  Problem problem(state);
  if (!problem.agrees) {
    state.SkipWithError("packed and float products differ");
    return;
  }
  for (auto _ : state) {
    body(problem);
    benchmark::ClobberMemory();
  }
  state.counters["GMAC/s"] =
      benchmark::Counter(static_cast<double>(problem.m * problem.n * problem.k) * 1e-9,
                         benchmark::Counter::kIsIterationInvariantRate);
}

void Sgemm(benchmark::State& state) {
  Run(state, [](Problem& p) { p.Sgemm(); });
}
void Packed(benchmark::State& state) {
  Run(state, [](Problem& p) { p.Packed(); });
}
void PackAndMultiply(benchmark::State& state) {
  Run(state, [](Problem& p) {
    p.Pack();
    p.Packed();
  });
}

void Shapes(benchmark::internal::Benchmark* bench) {
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{1, 1024, 1024}, {1, 4096, 4096},
                                {100, 1024, 1024}, {100, 4096, 4096}, {1000, 1024, 1024},
                                {1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 4096, 4096}}) {
    for (int64_t threads : {1, 2}) bench->Args({m, n, k, threads});
  }
  // Wall time: with several threads the main thread's own time says little.
  bench->UseRealTime()->Unit(benchmark::kMicrosecond);
}

BENCHMARK(Sgemm)->Apply(Shapes);
BENCHMARK(Packed)->Apply(Shapes);
BENCHMARK(PackAndMultiply)->Apply(Shapes);

}  // namespace
}  // namespace bitgrad
