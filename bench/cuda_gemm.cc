// Packed GEMM on a GPU against cuBLASLt in every type, one shape after the other in one run.
//
//   ./bazelw run //bench:cuda_gemm -- --benchmark_filter=square --benchmark_repetitions=5
//
// Shapes: square 1024 to 32768, and the layers of bench/shapes/*.txt at their batches. Names: WORKLOAD/SHAPE/MxNxK.
// Workloads:
//   Packed           +-1 x +-1 from packed operands to int32 (counts of the operands' ones included)
//   PackedToInt16    the same to int16, half of the result's memory; where K <= 32767
//   PackedToBits     the same to threshold bits
//   PackAndMultiply  float activations packed, then multiplied, to float
//   Bf16, Tf32, Fp32, Int8, Fp8   cuBLASLt; to float (Int8: int32; Fp8: bf16)
//   Naive            one thread per cell in float: what the papers compare with; up to 8192
//   Popcount         one thread per cell, XOR and population count: their binary kernel, without tiles; up to 8192
// Operands are random signs. Operands and results do not fit into the L2 cache (cuda_timer.h). Before a shape is timed,
// some cells of the packed results, integers and bits, are compared with sums that the host computes.
//
// Counter: TOPS, for 2 m n k operations, whatever their type. Without a GPU the suite prints why and fails.

#include <bit>
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
#include "bitgrad/ops/cuda/cublas_lt.h"
#include "bitgrad/ops/cuda/naive_gemm.h"
#include "bitgrad/ops/cuda/packed_gemm_i16.h"
#include "bitgrad/ops/cuda/popcount_gemm.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

struct Shape3 {
  std::string name;
  int64_t m, n, k;
};

// A block of device memory from the context's pool.
class Block {
 public:
  Block(ExecContext& context, size_t bytes)
      : context_(context), bytes_(bytes), data_(context.allocator().Allocate(bytes)) {}
  ~Block() { context_.allocator().Deallocate(data_, bytes_); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  ExecContext& context_;
  size_t bytes_;
  void* data_;
};

std::vector<uint64_t> RandomWords(uint64_t seed, int64_t rows, int64_t cols) {
  std::mt19937_64 random(seed);
  const int64_t stride = BitMatrix::WordsPerRow(cols);
  std::vector<uint64_t> words(rows * stride, 0);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; j += 64) {
      const uint64_t used = cols - j >= 64 ? ~uint64_t{0} : (uint64_t{1} << (cols - j)) - 1;
      words[i * stride + j / 64] = random() & used;
    }
  }
  return words;
}

const Kernels& Gpu() { return KernelsFor(Device::kCuda); }

// The packed operands of a shape, and so many copies of them and of the results that they do not fit into the cache.
class Problem {
 public:
  Problem(ExecContext& context, const Shape3& shape)
      : context_(context),
        shape_(shape),
        a_words_(RandomWords(1, shape.m, shape.k)),
        b_words_(RandomWords(2, shape.n, shape.k)),
        copies_(CopiesBeyondL2((a_words_.size() + b_words_.size()) * 8 + shape.m * shape.n * 4)) {
    for (int64_t i = 0; i < copies_; ++i) {
      a_.push_back(std::make_unique<Block>(context, a_words_.size() * 8));
      b_.push_back(std::make_unique<Block>(context, b_words_.size() * 8));
      c_.push_back(std::make_unique<Block>(
          context, std::max<size_t>(shape.m * shape.n * 4, BitMatrix::BytesFor(shape.m, shape.n))));
      context.Upload(a_[i]->as<void>(), a_words_.data(), a_words_.size() * 8);
      context.Upload(b_[i]->as<void>(), b_words_.data(), b_words_.size() * 8);
    }
  }

  int64_t copies() const { return copies_; }
  ConstBitMatrixView a(int64_t i) const {
    return {a_[i % copies_]->as<uint64_t>(), shape_.m, shape_.k, BitMatrix::WordsPerRow(shape_.k)};
  }
  ConstBitMatrixView b(int64_t i) const {
    return {b_[i % copies_]->as<uint64_t>(), shape_.n, shape_.k, BitMatrix::WordsPerRow(shape_.k)};
  }
  template <typename T>
  MatrixView<T> c(int64_t i) const {
    return {c_[i % copies_]->as<T>(), shape_.m, shape_.n};
  }
  BitMatrixView bits(int64_t i) const {
    return {c_[i % copies_]->as<uint64_t>(), shape_.m, shape_.n, BitMatrix::WordsPerRow(shape_.n)};
  }

  // Compares some cells of c<T>(0) with sums that the host computes.
  template <typename T>
  absl::Status Check() const {
    std::vector<T> row(shape_.n);
    return CheckRows([&](int64_t i) { context_.Download(row.data(), c<T>(0).row(i), row.size() * sizeof(T)); },
                     [&](int64_t j, int64_t sum) { return row[j] == sum; });
  }
  // Compares some bits of bits(0), whose thresholds are 0, with the signs of the host's sums.
  absl::Status CheckBits() const {
    std::vector<uint64_t> row(BitMatrix::WordsPerRow(shape_.n));
    return CheckRows([&](int64_t i) { context_.Download(row.data(), bits(0).row(i), row.size() * 8); },
                     [&](int64_t j, int64_t sum) { return (row[j / 64] >> j % 64 & 1) == (sum >= 0); });
  }

 private:
  // Calls load(i) for some rows i, and then is_right(j, sum) for some columns j with the host's sum.
  template <typename Load, typename IsRight>
  absl::Status CheckRows(const Load& load, const IsRight& is_right) const {
    const int64_t stride = BitMatrix::WordsPerRow(shape_.k);
    for (int64_t i = 0; i < shape_.m; i += std::max<int64_t>(1, shape_.m / 37)) {
      load(i);
      for (int64_t j = i % 11; j < shape_.n; j += std::max<int64_t>(1, shape_.n / 101)) {
        int64_t differing = 0;
        for (int64_t w = 0; w < stride; ++w)
          differing += std::popcount(a_words_[i * stride + w] ^ b_words_[j * stride + w]);
        const int64_t sum = shape_.k - 2 * differing;
        if (!is_right(j, sum)) {
          return absl::InternalError(absl::StrCat(shape_.name, ": cell ", i, ", ", j, " is wrong; its sum is ", sum));
        }
      }
    }
    return context_.status();
  }

  ExecContext& context_;
  Shape3 shape_;
  std::vector<uint64_t> a_words_, b_words_;
  int64_t copies_;
  std::vector<std::unique_ptr<Block>> a_, b_, c_;
};

void Count(benchmark::State& state, const Shape3& shape, double seconds) {
  if (seconds > 0) {
    state.counters["TOPS"] =
        2e-12 * static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k) / seconds;
  }
}

// Whether the benchmark can go on; if not, it reports the error.
bool IsRight(benchmark::State& state, const absl::Status& check) {
  if (!check.ok()) state.SkipWithError(std::string(check.message()).c_str());
  return check.ok();
}

void Packed(benchmark::State& state, const Shape3& shape) {
  ExecContext context({.device = Device::kCuda});
  const Problem problem(context, shape);
  Gpu().packed_gemm(context, problem.a(0), problem.b(0), {.floats = problem.c<float>(0)});
  if (!IsRight(state, problem.Check<float>())) return;
  Count(state, shape, SecondsPerCall(state, context, [&](int64_t i) {
          Gpu().packed_gemm(context, problem.a(i), problem.b(i), {.floats = problem.c<float>(i)});
        }));
}

void PackedToInt16(benchmark::State& state, const Shape3& shape) {
  ExecContext context({.device = Device::kCuda});
  const Problem problem(context, shape);
  cuda::PackedGemmI16(context, problem.a(0), problem.b(0), problem.c<int16_t>(0));
  if (!IsRight(state, problem.Check<int16_t>())) return;
  Count(state, shape, SecondsPerCall(state, context, [&](int64_t i) {
          cuda::PackedGemmI16(context, problem.a(i), problem.b(i), problem.c<int16_t>(i));
        }));
}

void PackedToBits(benchmark::State& state, const Shape3& shape) {
  ExecContext context({.device = Device::kCuda});
  const Problem problem(context, shape);
  const Block threshold(context, shape.n * 4), flip(context, shape.n);
  context.allocator().Zero(threshold.as<void>(), shape.n * 4);
  context.allocator().Zero(flip.as<void>(), shape.n);
  const auto to_bits = [&](int64_t i) -> DotOutput {
    return {.bits = problem.bits(i), .threshold = threshold.as<int32_t>(), .flip = flip.as<uint8_t>()};
  };
  Gpu().packed_gemm(context, problem.a(0), problem.b(0), to_bits(0));
  if (!IsRight(state, problem.CheckBits())) return;
  Count(state, shape, SecondsPerCall(state, context, [&](int64_t i) {
          Gpu().packed_gemm(context, problem.a(i), problem.b(i), to_bits(i));
        }));
}

void Popcount(benchmark::State& state, const Shape3& shape) {
  ExecContext context({.device = Device::kCuda});
  const Problem problem(context, shape);
  cuda::PopcountGemmI32(context, problem.a(0), problem.b(0), problem.c<int32_t>(0));
  if (!IsRight(state, problem.Check<int32_t>())) return;
  Count(state, shape, SecondsPerCall(state, context, [&](int64_t i) {
          cuda::PopcountGemmI32(context, problem.a(i), problem.b(i), problem.c<int32_t>(i));
        }));
}

void PackAndMultiply(benchmark::State& state, const Shape3& shape) {
  ExecContext context({.device = Device::kCuda});
  const Problem problem(context, shape);
  const int64_t copies = CopiesBeyondL2(shape.m * shape.k * 4);
  std::vector<std::unique_ptr<Block>> floats;
  for (int64_t i = 0; i < copies; ++i) {
    floats.push_back(std::make_unique<Block>(context, shape.m * shape.k * 4));
    Gpu().unpack_signs(context, problem.a(i), {floats[i]->as<float>(), shape.m, shape.k});
  }
  const Block bits(context, BitMatrix::BytesFor(shape.m, shape.k));
  const BitMatrixView packed = {bits.as<uint64_t>(), shape.m, shape.k, BitMatrix::WordsPerRow(shape.k)};
  Count(state, shape, SecondsPerCall(state, context, [&](int64_t i) {
          Gpu().pack_signs(context, {floats[i % copies]->as<float>(), shape.m, shape.k}, packed, {});
          Gpu().packed_gemm(context, packed, problem.b(i), {.floats = problem.c<float>(i)});
        }));
}

// cuBLASLt on +-1 in a type of `bytes` bytes.
void Cublas(benchmark::State& state, const Shape3& shape, cuda::MatrixProduct product, int bytes, int result_bytes) {
  ExecContext context({.device = Device::kCuda});
  product.transpose_b = true;
  product.m = shape.m;
  product.n = shape.n;
  product.k = shape.k;
  product.stride_a = product.stride_b = shape.k;
  product.stride_c = shape.n;
  // Every element below is +1 or -1 in the type.
  const auto signs = [&](uint64_t seed, int64_t count) {
    std::vector<uint8_t> values(count * bytes);
    std::mt19937 random(static_cast<uint32_t>(seed));
    uint32_t word = 0;
    for (int64_t i = 0; i < count; ++i) {
      if (i % 32 == 0) word = random();
      const bool plus = word >> i % 32 & 1;
      if (product.type_ab == CUDA_R_8I) {
        values[i] = plus ? 1 : 0xff;
      } else if (product.type_ab == CUDA_R_8F_E4M3) {
        values[i] = plus ? 0x38 : 0xb8;
      } else {
        values[i * bytes + bytes - 1] = plus ? 0x3f : 0xbf;
        values[i * bytes + bytes - 2] = 0x80;
      }
    }
    return values;
  };
  const std::vector<uint8_t> a = signs(1, shape.m * shape.k), b = signs(2, shape.n * shape.k);
  const int64_t copies = CopiesBeyondL2(a.size() + b.size() + shape.m * shape.n * result_bytes);
  std::vector<std::unique_ptr<Block>> blocks;
  for (int64_t i = 0; i < copies; ++i) {
    for (const std::vector<uint8_t>* values : {&a, &b}) {
      blocks.push_back(std::make_unique<Block>(context, values->size()));
      context.Upload(blocks.back()->as<void>(), values->data(), values->size());
    }
    blocks.push_back(std::make_unique<Block>(context, shape.m * shape.n * result_bytes));
  }
  const Block workspace(context, cuda::kCublasWorkspaceBytes);
  Count(state, shape, SecondsPerCall(state, context, [&](int64_t i) {
          const int64_t copy = i % copies * 3;
          product.a = blocks[copy]->as<void>();
          product.b = blocks[copy + 1]->as<void>();
          product.c = blocks[copy + 2]->as<void>();
          const absl::Status error =
              cuda::Multiply(product, workspace.as<void>(), static_cast<cudaStream_t>(context.stream()->handle()));
          if (!error.ok()) context.ReportError(error);
        }));
}

void Naive(benchmark::State& state, const Shape3& shape) {
  ExecContext context({.device = Device::kCuda});
  const Block a(context, shape.m * shape.k * 4), b(context, shape.n * shape.k * 4), c(context, shape.m * shape.n * 4);
  const Problem problem(context, shape);
  Gpu().unpack_signs(context, problem.a(0), {a.as<float>(), shape.m, shape.k});
  Gpu().unpack_signs(context, problem.b(0), {b.as<float>(), shape.n, shape.k});
  Count(state, shape, SecondsPerCall(state, context, [&](int64_t) {
          cuda::NaiveGemmF32(context, false, true, 1, {a.as<float>(), shape.m, shape.k},
                             {b.as<float>(), shape.n, shape.k}, 0, {c.as<float>(), shape.m, shape.n});
        }));
}

absl::Status Register() {
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(Device::kCuda));
  std::vector<Shape3> shapes;
  for (const int64_t size : {1024, 2048, 4096, 8192, 16384, 32768}) {
    shapes.push_back({absl::StrCat("square/", size), size, size, size});
  }
  for (const int64_t batch : {1, 100, 1000, 10000}) {
    shapes.push_back({absl::StrCat("mlp_first/", batch), batch, 4096, 784});
    shapes.push_back({absl::StrCat("mlp_inner/", batch), batch, 4096, 4096});
  }
  shapes.push_back({"conv_256_batch_100", 100 * 16 * 16, 256, 256 * 9});

  const cuda::MatrixProduct bf16 = {.type_ab = CUDA_R_16BF}, fp32 = {};
  const cuda::MatrixProduct tf32 = {.compute = CUBLAS_COMPUTE_32F_FAST_TF32};
  const cuda::MatrixProduct int8 = {
      .type_ab = CUDA_R_8I, .type_c = CUDA_R_32I, .compute = CUBLAS_COMPUTE_32I, .type_scale = CUDA_R_32I};
  const cuda::MatrixProduct fp8 = {.type_ab = CUDA_R_8F_E4M3, .type_c = CUDA_R_16BF};
  for (const Shape3& shape : shapes) {
    const auto add = [&](const char* workload, auto run) {
      const std::string name = absl::StrCat(workload, "/", shape.name, "/", shape.m, "x", shape.n, "x", shape.k);
      benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Unit(benchmark::kMicrosecond);
    };
    add("Packed", [shape](benchmark::State& state) { Packed(state, shape); });
    if (shape.k <= cuda::kMostInnerOfI16)
      add("PackedToInt16", [shape](benchmark::State& state) { PackedToInt16(state, shape); });
    add("PackedToBits", [shape](benchmark::State& state) { PackedToBits(state, shape); });
    add("PackAndMultiply", [shape](benchmark::State& state) { PackAndMultiply(state, shape); });
    add("Bf16", [=](benchmark::State& state) { Cublas(state, shape, bf16, 2, 4); });
    add("Tf32", [=](benchmark::State& state) { Cublas(state, shape, tf32, 4, 4); });
    add("Fp32", [=](benchmark::State& state) { Cublas(state, shape, fp32, 4, 4); });
    add("Int8", [=](benchmark::State& state) { Cublas(state, shape, int8, 1, 4); });
    add("Fp8", [=](benchmark::State& state) { Cublas(state, shape, fp8, 1, 2); });
    if (shape.m <= 8192) {
      add("Naive", [shape](benchmark::State& state) { Naive(state, shape); });
      add("Popcount", [shape](benchmark::State& state) { Popcount(state, shape); });
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) { return bitgrad::BenchMain(argc, argv, bitgrad::Register); }
