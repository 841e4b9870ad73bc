// Packed GEMM against oneDNN's float and int8 products, one shape after the other in one run.
//
//   ./bazelw run //bench:packed_gemm -- --benchmark_filter=square --benchmark_repetitions=5
//
// Shapes: bench/shapes/*.txt (bench/shapes.h), each on one thread and on two. Names of benchmarks:
// WORKLOAD/FAMILY/NAME/MxNxK/threads:T. Workloads:
//   Sgemm            the baseline: the float product, by the gemm_f32 kernel
//   Int8             oneDNN's s8 x s8 -> s32: what int8 would achieve
//   Packed           +-1 x +-1, packed operands to floats
//   PackedToBits     packed operands to threshold bits, as in an inner layer of a frozen net
//   PackAndMultiply  float activations packed, then multiplied into float, as in a layer's forward pass in training
// Operands are random signs. Before anything of a shape is timed, every workload's result is compared with the float
// product, which is exact; none may differ.
//
// Counters: GMAC/s, where a MAC is a multiplication and an addition of one element, however many bits it has; of_limit,
// the rate's share of the rate of XNOR-popcount's register-only loop (bench/port_limit.h) times the threads; it is
// absent where the instruction set has no such loop.
//
// Flags: --hwy_target (bench/bench_main.h); --shapes=DIRECTORY, other shapes.

#include <omp.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/bench/port_limit.h"
#include "bitgrad/bench/shapes.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/ops/dispatch.h"
#include "oneapi/dnnl/dnnl.h"

ABSL_FLAG(std::string, shapes, "", "Directory with files of shapes; empty: bench/shapes.");

namespace bitgrad {
namespace {

struct Signs {
  Signs(uint32_t stream, int64_t rows, int64_t cols)
      : floats({rows, cols}, DType::kFloat32), int8s(static_cast<size_t>(rows * cols)), bits(rows, cols) {
    const RngStream rng{.seed = 7, .stream = stream};
    float* values = floats.mutable_data<float>();
    RngBlock block = {};
    for (int64_t i = 0; i < rows * cols; ++i) {
      if (i % 128 == 0) block = RandomBlock(rng, static_cast<uint64_t>(i / 128));
      int8s[i] = block.word[i % 128 / 32] >> (i % 32) & 1 ? 1 : -1;
      values[i] = int8s[i];
    }
  }
  Tensor floats;
  std::vector<int8_t> int8s;
  BitMatrix bits;
};

// The operands of a shape in every form, the results, and every way to compute them.
class Problem {
 public:
  explicit Problem(const GemmShape& shape)
      : m_(shape.m),
        n_(shape.n),
        k_(shape.k),
        a_(1, m_, k_),
        b_(2, n_, k_),
        products_({m_, n_}, DType::kFloat32),
        dots_({m_, n_}, DType::kInt32),
        threshold_(static_cast<size_t>(n_)),
        flip_(static_cast<size_t>(n_)),
        signs_(m_, n_) {
    const RngStream rng{.seed = 7, .stream = 3};
    for (int64_t j = 0; j < n_; ++j) {
      // Within two standard deviations of a dot product, so that both bits are frequent.
      threshold_[j] = static_cast<int32_t>((4 * Uniform(rng, 2 * j) - 2) * std::sqrt(static_cast<double>(k_)));
      flip_[j] = RandomWord(rng, 2 * j + 1) & 1;
    }
    ExecContext context;
    kernels_.pack_signs(context, b_.floats.matrix<float>(), b_.bits.mutable_view(), {});
    kernels_.pack_signs(context, a_.floats.matrix<float>(), a_.bits.mutable_view(), {});
    Check(context);
  }

  double macs() const { return static_cast<double>(m_) * static_cast<double>(n_) * static_cast<double>(k_); }
  // The workload whose result differed from the float product; empty if none did.
  const std::string& wrong() const { return wrong_; }

  void Sgemm(ExecContext& context) { MultiplyFloats(context, products_); }
  void Int8(ExecContext& context) {
    const int32_t no_offset = 0;
    omp_set_num_threads(context.threads());  // sets oneDNN's number of threads
    dnnl_gemm_s8s8s32('N', 'T', 'F', m_, n_, k_, 1.0f, a_.int8s.data(), k_, 0, b_.int8s.data(), k_, 0, 0.0f,
                      dots_.mutable_data<int32_t>(), n_, &no_offset);
  }
  void Packed(ExecContext& context) {
    kernels_.packed_gemm(context, a_.bits.view(), b_.bits.view(), {.floats = products_.mutable_matrix<float>()});
  }
  void PackedToBits(ExecContext& context) {
    kernels_.packed_gemm(context, a_.bits.view(), b_.bits.view(),
                         {.bits = signs_.mutable_view(), .threshold = threshold_.data(), .flip = flip_.data()});
  }
  void PackAndMultiply(ExecContext& context) {
    kernels_.pack_signs(context, a_.floats.matrix<float>(), a_.bits.mutable_view(), {});
    Packed(context);
  }

 private:
  void MultiplyFloats(ExecContext& context, Tensor& c) {
    kernels_.gemm_f32(context, false, true, 1.0f, a_.floats.matrix<float>(), b_.floats.matrix<float>(), 0.0f,
                      c.mutable_matrix<float>());
  }

  void Check(ExecContext& context) {
    Tensor expected({m_, n_}, DType::kFloat32);
    MultiplyFloats(context, expected);
    const auto check = [&](const char* workload, const auto& element) {
      const float* e = expected.data<float>();
      bool same = context.status().ok();
      for (int64_t i = 0; i < m_; ++i) {
        for (int64_t j = 0; j < n_; ++j) same &= element(i, j, static_cast<int32_t>(e[i * n_ + j]));
      }
      if (!same && wrong_.empty()) wrong_ = workload;
    };
    const auto same_product = [&](int64_t i, int64_t j, int32_t dot) {
      return products_.data<float>()[i * n_ + j] == static_cast<float>(dot);
    };
    Int8(context);
    check("Int8", [&](int64_t i, int64_t j, int32_t dot) { return dots_.data<int32_t>()[i * n_ + j] == dot; });
    Packed(context);
    check("Packed", same_product);
    PackedToBits(context);
    check("PackedToBits", [&](int64_t i, int64_t j, int32_t dot) {
      return signs_.view().bit(i, j) == ((dot >= threshold_[j]) != (flip_[j] != 0));
    });
    PackAndMultiply(context);
    check("PackAndMultiply", same_product);
  }

  const Kernels& kernels_ = KernelsFor(Device::kCpu);
  int64_t m_, n_, k_;
  Signs a_, b_;
  Tensor products_, dots_;
  std::vector<int32_t> threshold_;
  std::vector<uint8_t> flip_;
  BitMatrix signs_;
  std::string wrong_;
};

struct Workload {
  const char* name;
  void (Problem::*run)(ExecContext&);
};
constexpr Workload kWorkloads[] = {{"Sgemm", &Problem::Sgemm},
                                   {"Int8", &Problem::Int8},
                                   {"Packed", &Problem::Packed},
                                   {"PackedToBits", &Problem::PackedToBits},
                                   {"PackAndMultiply", &Problem::PackAndMultiply}};

void Run(benchmark::State& state, const GemmShape& shape, const Workload& workload, int threads, double limit) {
  // The benchmarks of a shape follow each other and share its operands, which take seconds to make if they are large.
  static Last<Problem> last;
  Problem& problem =
      last.Get(absl::StrCat(shape.m, "x", shape.n, "x", shape.k), [&] { return std::make_unique<Problem>(shape); });
  if (!problem.wrong().empty()) {
    state.SkipWithError((problem.wrong() + " differs from the float product").c_str());
    return;
  }
  ExecContext context({.threads = threads});
  const double seconds = SecondsPerIteration(state, [&] { (problem.*workload.run)(context); });
  if (!context.status().ok()) state.SkipWithError(std::string(context.status().message()).c_str());
  const double rate = problem.macs() * 1e-9 / seconds;
  state.counters["GMAC/s"] = rate;
  if (limit > 0) state.counters["of_limit"] = rate / (limit * threads);
}

absl::Status Register() {
  std::string directory = absl::GetFlag(FLAGS_shapes);
  if (directory.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(directory, FindShapesDirectory());
  }
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<ShapeFamily> families, ReadShapeFamilies(directory));
  const PortLimit limit = MeasurePortLimit();
  AddToContext(limit);
  for (const ShapeFamily& family : families) {
    for (const GemmShape& shape : family.shapes) {
      for (const int threads : {1, 2}) {
        for (const Workload& workload : kWorkloads) {
          const std::string name = absl::StrCat(workload.name, "/", family.name, "/", shape.name, "/", shape.m, "x",
                                                shape.n, "x", shape.k, "/threads:", threads);
          // Wall time, because with several threads the main thread's own time says little.
          benchmark::RegisterBenchmark(name.c_str(),
                                       [shape, &workload, threads, limit](benchmark::State& state) {
                                         Run(state, shape, workload, threads, limit.loop_gmacs);
                                       })
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
