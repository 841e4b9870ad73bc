// The two implementations of a binary layer's backward products on a GPU (ops/cuda/sign_gemm.h), to find the sizes at
// which they are equally fast.
//
//   ./bazelw run //bench:cuda_sign_gemm -- --benchmark_filter=square --benchmark_repetitions=5
//
// Names: IMPLEMENTATION/PRODUCT/SHAPE/MxNxK/pieces:P, where P is the number of bf16 pieces of a gradient.
// Implementations: InRegisters, and InMemory (expansion and cuBLASLt together).
// Products: dx = dy w, and dw = dy^T x, whose operand is transposed. Shapes: square 1024 to 8192, and a layer 4096 x
// 4096 at batches of 100 to 10000. Gradients are integers that P pieces represent exactly and whose sums are exact in
// float. So before a shape is timed, some cells are compared with sums that the host computes, and none may differ.
// Operands and results do not fit into the L2 cache (cuda_timer.h).
//
// Counter: TFLOPS, for 2 m n k operations, whatever the number of pieces. The name of the implementation that
// SignGemmF32 would choose ends in "*". Without a GPU the suite prints why and fails.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/cuda_timer.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/cuda/sign_gemm.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad {
namespace {

// A product: c is [m, n], the inner dimension K is k.
struct Product {
  std::string name;
  int64_t m, n, k;
  bool transpose_a;
  BackwardPrecision precision;
};

template <typename T>
using Blocks = std::vector<std::unique_ptr<Scratch<T>>>;

class Problem {
 public:
  Problem(ExecContext& context, const Product& product)
      : context_(context),
        product_(product),
        copies_(CopiesBeyondL2((product.m * product.k + product.m * product.n) * 4)),
        values_(product.m * product.k),
        signs_(RandomWords(1, product.k, product.n)),
        b_(context, static_cast<int64_t>(signs_.size())) {
    std::mt19937 random(3);
    // Sums of K such numbers stay below 2^24.
    std::uniform_int_distribution<int> integer(-limit(), limit());
    for (float& value : values_) value = static_cast<float>(integer(random));
    context.Upload(b_.data(), signs_.data(), signs_.size() * 8);
    for (int64_t i = 0; i < copies_; ++i) {
      a_.push_back(std::make_unique<Scratch<float>>(context, product.m * product.k));
      c_.push_back(std::make_unique<Scratch<float>>(context, product.m * product.n));
      context.Upload(a_[i]->data(), values_.data(), values_.size() * 4);
    }
  }

  template <typename Way>
  void Run(const Way& way, int64_t i) const {
    const Product& p = product_;
    const ConstMatrixView<float> a = p.transpose_a ? ConstMatrixView<float>{a_[i % copies_]->data(), p.k, p.m}
                                                   : ConstMatrixView<float>{a_[i % copies_]->data(), p.m, p.k};
    way(context_, p.transpose_a, 1.0f, a, {b_.data(), p.k, p.n, BitMatrix::WordsPerRow(p.n)}, c(i));
  }
  MatrixView<float> c(int64_t i) const { return {c_[i % copies_]->data(), product_.m, product_.n}; }

  // Compares some cells of c(0) with sums that the host computes.
  absl::Status Check() const {
    const Product& p = product_;
    std::vector<float> row(p.n);
    const auto bit = [](const std::vector<uint64_t>& words, int64_t cols, int64_t i, int64_t j) {
      return (words[i * BitMatrix::WordsPerRow(cols) + j / 64] >> (j % 64) & 1) != 0;
    };
    for (int64_t i = 0; i < p.m; i += std::max<int64_t>(1, p.m / 17)) {
      context_.Download(row.data(), c(0).row(i), row.size() * 4);
      for (int64_t j = i % 11; j < p.n; j += std::max<int64_t>(1, p.n / 29)) {
        double sum = 0;
        for (int64_t k = 0; k < p.k; ++k) {
          const double a = values_[p.transpose_a ? k * p.m + i : i * p.k + k];
          sum += bit(signs_, p.n, k, j) ? a : -a;
        }
        if (row[j] != sum) {
          return absl::InternalError(absl::StrCat(p.name, ": cell ", i, ", ", j, " is ", row[j], ", must be ", sum));
        }
      }
    }
    return context_.status();
  }

 private:
  int limit() const { return product_.precision == BackwardPrecision::kBf16 ? 127 : 1000; }
  static std::vector<uint64_t> RandomWords(uint64_t seed, int64_t rows, int64_t cols) {
    std::mt19937_64 random(seed);
    std::vector<uint64_t> words(rows * BitMatrix::WordsPerRow(cols));
    for (uint64_t& word : words) word = random();
    return words;
  }

  ExecContext& context_;
  Product product_;
  int64_t copies_;
  std::vector<float> values_;
  std::vector<uint64_t> signs_;
  Scratch<uint64_t> b_;
  Blocks<float> a_, c_;
};

template <typename Way>
void Time(benchmark::State& state, const Product& product, const Way& way) {
  ExecContext context({.device = Device::kCuda, .backward = product.precision});
  const Problem problem(context, product);
  problem.Run(way, 0);
  if (const absl::Status error = problem.Check(); !error.ok())
    return state.SkipWithError(std::string(error.message()).c_str());
  const double seconds = SecondsPerCall(state, context, [&](int64_t i) { problem.Run(way, i); });
  if (seconds > 0) {
    state.counters["TFLOPS"] = 2e-12 * static_cast<double>(product.m) * static_cast<double>(product.n) *
                               static_cast<double>(product.k) / seconds;
  }
}

void Register(Product product, const std::string& shape) {
  // Any pointer with the alignment that rows of c will have; it is not dereferenced.
  float* const aligned = reinterpret_cast<float*>(uintptr_t{1} << 20);
  const bool in_memory = cuda::IsFasterInMemory(product.precision, product.k, {aligned, product.m, product.n});
  product.name = absl::StrCat(product.transpose_a ? "dw/" : "dx/", shape, "/", product.m, "x", product.n, "x",
                              product.k, "/pieces:", static_cast<int>(product.precision));
  const auto add = [&](const char* way_name, bool chosen, auto way) {
    const std::string name = absl::StrCat(way_name, "/", product.name, chosen ? "*" : "");
    benchmark::RegisterBenchmark(name.c_str(), [product, way](benchmark::State& state) { Time(state, product, way); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  };
  add("InRegisters", !in_memory, cuda::SignGemmInRegisters);
  add("InMemory", in_memory, cuda::SignGemmInMemory);
}

absl::Status RegisterAll() {
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(Device::kCuda));
  for (const BackwardPrecision precision :
       {BackwardPrecision::kBf16, BackwardPrecision::kBf16x2, BackwardPrecision::kFloat32}) {
    const auto add = [&](const std::string& shape, int64_t m, int64_t n, int64_t k, bool transpose_a) {
      Register({{}, m, n, k, transpose_a, precision}, shape);
    };
    for (const int64_t size : {1024, 1536, 2048, 3072, 4096, 8192}) {
      add("square", size, size, size, false);
      add("square", size, size, size, true);
    }
    for (const int64_t batch : {100, 1000, 10000}) {
      const std::string shape = absl::StrCat("mlp_inner/", batch);
      add(shape, batch, 4096, 4096, false);
      add(shape, 4096, 4096, batch, true);
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) { return bitgrad::BenchMain(argc, argv, bitgrad::RegisterAll); }
