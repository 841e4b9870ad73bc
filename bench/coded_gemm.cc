// Products of codes with few bits: bit planes (where the weights have any), bytes, and oneDNN's sgemm on the same
// codes, one after the other in one run. The table in ops/dot_kernel.cc was derived from this suite's figures.
//
//   ./bazelw run //bench:coded_gemm -- --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
//
// Workloads, on one thread: KERNEL/INPUTxWEIGHTS/m, all into threshold bits (sgemm into floats):
//   symmetric8 x binary: n = 4096, k = 784, the first layer of a net on 8-bit pixels; the others: n = k = 1024
// Reported: GMAC/s (the counter), medians. Before anything is timed, the kernels' bits are compared.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
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

struct Operand {
  Operand(ExecContext& context, const Encoding& encoding, int64_t rows, int64_t cols, uint32_t stream)
      : encoding(encoding), codes({rows, cols}, DType::kUint8), floats({rows, cols}, DType::kFloat32) {
    const RngStream rng{.seed = 7, .stream = stream};
    const uint32_t count = static_cast<uint32_t>(encoding.largest_stored()) + 1;
    for (int64_t i = 0; i < rows * cols; ++i) {
      codes.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(RandomWord(rng, i) % count);
    }
    KernelsFor(Device::kCpu).unpack_codes(context, encoding, codes.matrix<uint8_t>(), floats.mutable_matrix<float>());
    BitMatrixView views[kMaxCodeBits];
    view.encoding = encoding;
    for (int p = 0; p < encoding.bits; ++p) {
      planes.emplace_back(rows, cols);
      views[p] = planes.back().mutable_view();
      view.planes[p] = views[p];
    }
    KernelsFor(Device::kCpu).pack_planes(context, codes.matrix<uint8_t>(), encoding.bits, views);
  }
  Encoding encoding;
  Tensor codes, floats;
  std::vector<BitMatrix> planes;
  ConstPlanesView view;
};

struct Problem {
  Problem(const Encoding& x, const Encoding& w, int64_t m, int64_t n, int64_t k)
      : context({.threads = 1}),
        kernels(KernelsFor(Device::kCpu)),
        a(context, x, m, k, 1),
        b(context, w, n, k, 2),
        threshold(static_cast<size_t>(n), 1),
        flip(static_cast<size_t>(n), 0),
        c({m, n}, DType::kFloat32),
        plane_bits(BitMatrix::Zeros(m, n)),
        int8_bits(BitMatrix::Zeros(m, n)) {
    Int8();
    if (has_planes()) {
      Planes();
      agrees = std::memcmp(plane_bits.view().words, int8_bits.view().words, plane_bits.byte_size()) == 0;
    } else {
      Sgemm();
      agrees = true;
      for (int64_t i = 0; i < m * n; ++i) agrees &= int8_bits.view().bit(i / n, i % n) == (c.data<float>()[i] >= 1);
    }
  }
  bool has_planes() const { return a.encoding.is_affine() && b.encoding.is_affine(); }
  DotOutput Into(BitMatrix& bits) {
    return {.bits = bits.mutable_view(), .threshold = threshold.data(), .flip = flip.data()};
  }
  void Planes() { kernels.plane_gemm(context, a.view, b.view, Into(plane_bits)); }
  void Int8() { kernels.int8_gemm(context, {a.encoding, a.codes.matrix<uint8_t>()}, b.view, Into(int8_bits)); }
  void Sgemm() {
    kernels.gemm_f32(context, false, true, 1.0f, a.floats.matrix<float>(), b.floats.matrix<float>(), 0.0f,
                     c.mutable_matrix<float>());
  }

  ExecContext context;
  const Kernels& kernels;
  Operand a, b;
  std::vector<int32_t> threshold;
  std::vector<uint8_t> flip;
  Tensor c;
  BitMatrix plane_bits, int8_bits;
  bool agrees = false;
};

struct Workload {
  const char* name;
  Encoding x, w;
  int64_t n, k;
};

constexpr Encoding kBinary{EncodingKind::kBinary, 1}, kTernary{EncodingKind::kTernary, 2};
constexpr Encoding Symmetric(int bits) { return {EncodingKind::kSymmetric, bits}; }
constexpr Encoding Unsigned(int bits) { return {EncodingKind::kUnsigned, bits}; }
constexpr Encoding Log(int bits) { return {EncodingKind::kLog, bits}; }

constexpr Workload kWorkloads[] = {
    {"symmetric8xbinary", Symmetric(8), kBinary, 4096, 784},
    {"binaryxternary", kBinary, kTernary, 1024, 1024},
    {"binaryxsymmetric3", kBinary, Symmetric(3), 1024, 1024},
    {"ternaryxternary", kTernary, kTernary, 1024, 1024},
    {"symmetric5xbinary", Symmetric(5), kBinary, 1024, 1024},
    {"symmetric3xternary", Symmetric(3), kTernary, 1024, 1024},
    {"unsigned4xternary", Unsigned(4), kTernary, 1024, 1024},
    {"unsigned4xsymmetric4", Unsigned(4), Symmetric(4), 1024, 1024},
    {"unsigned4xlog3", Unsigned(4), Log(3), 1024, 1024},
    {"unsigned4xlog4", Unsigned(4), Log(4), 1024, 1024},
    {"binaryxlog5", kBinary, Log(5), 1024, 1024},
    {"log4xternary", Log(4), kTernary, 1024, 1024},
    {"log4xlog4", Log(4), Log(4), 1024, 1024},
};

void Run(benchmark::State& state, const Workload& workload, void (Problem::*body)()) {
  static Last<Problem> last;
  Problem& problem = last.Get(absl::StrCat(workload.name, "/", state.range(0)), [&] {
    return std::make_unique<Problem>(workload.x, workload.w, state.range(0), workload.n, workload.k);
  });
  if (!problem.agrees) {
    state.SkipWithError("the kernels give different bits");
    return;
  }
  const double seconds = SecondsPerIteration(state, [&] { (problem.*body)(); });
  state.counters["GMAC/s"] = static_cast<double>(state.range(0) * workload.n * workload.k) * 1e-9 / seconds;
}

void RegisterAll() {
  for (const Workload& workload : kWorkloads) {
    for (int64_t m : {1, 4, 8, 16, 32, 64, 100, 1000}) {
      for (const auto& [kernel, body] :
           {std::pair{"Sgemm", &Problem::Sgemm}, {"Planes", &Problem::Planes}, {"Int8", &Problem::Int8}}) {
        if (body == &Problem::Planes && !(workload.x.is_affine() && workload.w.is_affine())) continue;
        benchmark::RegisterBenchmark((std::string(kernel) + "/" + workload.name).c_str(),
                                     [&workload, body = body](benchmark::State& state) { Run(state, workload, body); })
            ->Arg(m)
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::BenchMain(argc, argv, [] {
    bitgrad::RegisterAll();
    return absl::OkStatus();
  });
}
