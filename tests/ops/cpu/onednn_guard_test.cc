// Every primitive of oneDNN that kernels execute, with a page behind its scratchpad and behind every operand that may
// not be touched, over small and odd shapes, one to three threads and the instruction sets that oneDNN can be held to.
// It reads the limit of its instruction sets once per process, so each of them has a process of its own.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cpu/cpu_kernels.h"
#include "bitgrad/ops/cpu/onednn.h"
#include "bitgrad/ops/cpu/onednn_conv.h"
#include "bitgrad/ops/cpu/onednn_matmul.h"
#include "bitgrad/tests/reference/conv2d_float.h"
#include "bitgrad/tests/reference/gemm.h"
#include "gtest/gtest.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace bitgrad {
namespace {

// `bytes` bytes that end at a page nobody may touch, up to the rounding of their start to `alignment`.
class Guarded {
 public:
  Guarded(size_t bytes, size_t alignment) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    const size_t usable = (rounded + page - 1) / page * page;
    mapped_ = usable + page;
    void* const memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BITGRAD_CHECK(memory != MAP_FAILED);
    memory_ = static_cast<uint8_t*>(memory);
    BITGRAD_CHECK(mprotect(memory_ + usable, page, PROT_NONE) == 0);
    data_ = memory_ + usable - rounded;
    std::memset(data_, 0xff, rounded);  // NaN, as floats
  }
  ~Guarded() { munmap(memory_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  void* data() const { return data_; }

 private:
  size_t mapped_;
  uint8_t* memory_;
  uint8_t* data_;
};

// Scratchpads are aligned to cache lines, as the contexts' allocators do.
class GuardedScratch : public Guarded {
 public:
  explicit GuardedScratch(size_t bytes) : Guarded(bytes, kAlignment) {}
};

// An operand, which may begin anywhere: nothing between its end and the page.
class GuardedFloats : public Guarded {
 public:
  explicit GuardedFloats(int64_t count)
      : Guarded(static_cast<size_t>(count) * sizeof(float), sizeof(float)), count_(count) {}
  explicit GuardedFloats(const std::vector<float>& values) : GuardedFloats(static_cast<int64_t>(values.size())) {
    std::copy(values.begin(), values.end(), data());
  }
  float* data() const { return static_cast<float*>(Guarded::data()); }
  std::vector<float> values() const { return {data(), data() + count_}; }

 private:
  int64_t count_;
};

// Small odd integers, whose sums are exact in any order.
std::vector<float> Integers(int64_t count, int seed) {
  std::vector<float> values(count);
  uint32_t state = 2463534242u + static_cast<uint32_t>(seed);
  for (float& value : values) {
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    value = static_cast<float>(static_cast<int>(state % 4) * 2 - 3);
  }
  return values;
}

int failures = 0;

// To the error stream, which gtest shows where the process does not end as it should.
void Fail(const std::string& what) {
  if (++failures <= 20) std::fprintf(stderr, "%s\n", what.c_str());
}

// Before a primitive is executed, so that a crash leaves its description.
std::string current;

void ExpectSums(const std::vector<float>& actual, const std::vector<reference::Sum>& expected) {
  for (size_t i = 0; i < actual.size(); ++i) {
    if (double{actual[i]} == expected[i].value) continue;
    return Fail(current + ": element " + std::to_string(i) + " is " + std::to_string(actual[i]) + ", not " +
                std::to_string(expected[i].value));
  }
}

std::string ToString(const ConvGeometry& g, const char* pass, int threads) {
  std::string text = std::string(pass) + " [" + std::to_string(g.batch);
  for (const int64_t n : {g.height, g.width, g.channels}) text += ", " + std::to_string(n);
  text += "] * [" + std::to_string(g.filters);
  for (const int64_t n : {g.kernel_height, g.kernel_width, g.group_channels()}) text += ", " + std::to_string(n);
  return text + "], stride " + std::to_string(g.stride_height) + " " + std::to_string(g.stride_width) + ", pad " +
         std::to_string(g.pad_height) + " " + std::to_string(g.pad_width) + ", dilation " +
         std::to_string(g.dilation_height) + ", groups " + std::to_string(g.groups) + ", threads " +
         std::to_string(threads);
}

void RunConv(cpu::ConvPass pass, const ConvGeometry& g, int threads, const float* x, const float* w, const float* y) {
  const cpu::OneDnnConv conv(pass, g);
  const cpu::OneDnnConv::WorkspaceBytes bytes = conv.workspace_bytes();
  const GuardedScratch scratchpad(bytes.scratchpad), reorder_scratchpad(bytes.reorder_scratchpad),
      filters(bytes.filters), pixels(bytes.pixels);
  conv.Execute(threads, x, w, y,
               {.scratchpad = scratchpad.data(),
                .reorder_scratchpad = reorder_scratchpad.data(),
                .filters = filters.data(),
                .pixels = pixels.data()});
}

// The three passes of one convolution.
void CheckConv(const ConvGeometry& g) {
  const std::vector<float> x = Integers(g.batch * g.height * g.width * g.channels, 1);
  const std::vector<float> w = Integers(g.filters * g.patch_size(), 2), dy = Integers(g.pixels() * g.filters, 3);
  const GuardedFloats gx(x), gw(w), gdy(dy);
  const auto expected_y = reference::Conv2d(g, x, w);
  const auto expected_dx = reference::Conv2dBackwardInput(g, dy, w);
  const auto expected_dw = reference::Conv2dBackwardWeight(g, x, dy);
  for (const int threads : {1, 2, 3}) {
    const cpu::OmpThreads omp(threads);
    current = ToString(g, "forward", threads);
    const GuardedFloats y(static_cast<int64_t>(dy.size()));
    RunConv(cpu::ConvPass::kForward, g, threads, gx.data(), gw.data(), y.data());
    ExpectSums(y.values(), expected_y);

    current = ToString(g, "gradient of x", threads);
    const GuardedFloats dx(static_cast<int64_t>(x.size()));
    RunConv(cpu::ConvPass::kBackwardInput, g, threads, dx.data(), gw.data(), gdy.data());
    ExpectSums(dx.values(), expected_dx);

    current = ToString(g, "gradient of w", threads);
    const GuardedFloats dw(static_cast<int64_t>(w.size()));
    RunConv(cpu::ConvPass::kBackwardWeight, g, threads, gx.data(), dw.data(), gdy.data());
    ExpectSums(dw.values(), expected_dw);
  }
}

void CheckConvs() {
  // The case that was reported.
  CheckConv({.batch = 5,
             .height = 32,
             .width = 32,
             .channels = 3,
             .filters = 64,
             .kernel_height = 1,
             .kernel_width = 1,
             .stride_height = 2,
             .stride_width = 2});
  // 1x1 filters, around oneDNN's vectors of 8 and 16 channels, with every stride; large enough for several threads.
  constexpr int64_t kFilters[] = {1, 5, 8, 16, 24, 33};
  int64_t turn = 0;
  for (const int64_t channels : {1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 20, 31, 33}) {
    for (const auto& [sh, sw] : {std::array<int64_t, 2>{1, 1}, {2, 2}, {3, 3}, {1, 2}, {2, 1}}) {
      for (const int64_t size : {3, 16}) {
        const int64_t pad = turn % 7 == 0 ? 1 : 0;
        CheckConv({.batch = 1 + turn % 3,
                   .height = size,
                   .width = size + turn % 2,
                   .channels = channels,
                   .filters = kFilters[turn % 6],
                   .kernel_height = 1,
                   .kernel_width = 1,
                   .stride_height = sh,
                   .stride_width = sw,
                   .pad_height = pad,
                   .pad_width = pad});
        ++turn;
      }
    }
  }
  // Other filters, strides, borders, dilations and groups.
  for (const int64_t group_channels : {1, 3, 8, 17}) {
    for (const auto& [kh, kw] : {std::array<int64_t, 2>{1, 1}, {3, 3}, {1, 3}, {2, 2}, {5, 5}}) {
      for (const int64_t stride : {1, 2, 3}) {
        for (const int64_t groups : {1, 2, 5}) {
          const int64_t dilation = turn % 3 == 0 ? 2 : 1;
          CheckConv({.batch = 1 + turn % 2,
                     .height = 11,
                     .width = 10 + turn % 3,
                     .channels = groups * group_channels,
                     .filters = groups * (turn % 4 == 0 ? 1 : kFilters[turn % 6]),
                     .kernel_height = kh,
                     .kernel_width = kw,
                     .stride_height = stride,
                     .stride_width = stride,
                     .pad_height = turn % (kh / 2 + 1),
                     .pad_width = turn % (kw / 2 + 1),
                     .dilation_height = dilation,
                     .dilation_width = dilation,
                     .groups = groups});
          ++turn;
        }
      }
    }
  }
}

// c = op(a) op(b) by the kernel, whose sgemm keeps its scratch memory to itself, and, for c = a b^T, by the primitive.
void CheckMatmul(int64_t m, int64_t n, int64_t k) {
  const std::vector<float> a = Integers(m * k, 4), b = Integers(n * k, 5);
  const GuardedFloats ga(a), gb(b);
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      const ConstMatrixView<float> left =
          transpose_a ? ConstMatrixView<float>{ga.data(), k, m} : ConstMatrixView<float>{ga.data(), m, k};
      const ConstMatrixView<float> right =
          transpose_b ? ConstMatrixView<float>{gb.data(), n, k} : ConstMatrixView<float>{gb.data(), k, n};
      std::vector<reference::Sum> expected(m * n);
      for (int64_t i = 0; i < m * n; ++i) {
        expected[i].value = reference::Gemm(transpose_a, transpose_b, 1, left, right, 0, 0, i / n, i % n).value;
      }
      for (const int threads : {1, 2, 3}) {
        ExecContext context({.threads = threads});
        current = "gemm_f32 " + std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k) +
                  (transpose_a ? ", a transposed" : "") + (transpose_b ? ", b transposed" : "") + ", threads " +
                  std::to_string(threads);
        const GuardedFloats c(m * n);
        CpuKernels().gemm_f32(context, transpose_a, transpose_b, 1.0f, left, right, 0.0f, {c.data(), m, n});
        if (!context.status().ok()) Fail(current + ": " + context.status().ToString());
        ExpectSums(c.values(), expected);
        if (transpose_a || !transpose_b) continue;
        current += ", as a primitive";
        const cpu::OmpThreads omp(threads);
        const GuardedFloats d(m * n);
        const cpu::OneDnnMatmul product(m, n, k, k, k, n, dnnl::scratchpad_mode::user);
        const GuardedScratch scratchpad(product.scratchpad_bytes());
        product.Execute(ga.data(), gb.data(), d.data(), scratchpad.data());
        ExpectSums(d.values(), expected);
      }
    }
  }
}

void CheckMatmuls() {
  constexpr int64_t kSizes[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 65, 100};
  constexpr int64_t kCount = std::size(kSizes);
  for (int64_t i = 0; i < kCount; ++i) {
    CheckMatmul(kSizes[i], kSizes[(i * 5 + 3) % kCount], kSizes[(i * 8 + 6) % kCount]);
    CheckMatmul(kSizes[(i * 3 + 1) % kCount], kSizes[i], kSizes[(i * 5 + 2) % kCount]);
    CheckMatmul(kSizes[(i * 5 + 4) % kCount], kSizes[(i * 8 + 1) % kCount], kSizes[i]);
  }
  CheckMatmul(300, 48, 200);
}

class OneDnnGuardTest : public testing::TestWithParam<dnnl::cpu_isa> {
 protected:
  // A process that starts anew: with a copy of this one, OpenMP's threads would be missing.
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }

  template <typename Check>
  void InProcessOfItsOwn(const Check& check) {
    const dnnl::cpu_isa isa = GetParam();
    EXPECT_EXIT(
        {
          // A signal names the primitive that it came from; the default action then ends the process.
          std::signal(SIGSEGV, [](int signal) {
            std::fprintf(stderr, "memory behind an operand or a scratchpad was touched: %s\n", current.c_str());
            std::signal(signal, SIG_DFL);
            std::raise(signal);
          });
          if (isa != dnnl::cpu_isa::all && dnnl::set_max_cpu_isa(isa) != dnnl::status::success) {
            Fail("oneDNN does not take the instruction set");
          }
          check();
          std::exit(failures == 0 ? 0 : 1);
        },
        testing::ExitedWithCode(0), "");
  }
};

TEST_P(OneDnnGuardTest, Convolutions) { InProcessOfItsOwn(CheckConvs); }
TEST_P(OneDnnGuardTest, MatrixProducts) { InProcessOfItsOwn(CheckMatmuls); }

// oneDNN can be held to instruction sets of x86 alone.
std::vector<dnnl::cpu_isa> InstructionSets() {
#if defined(__x86_64__)
  return {dnnl::cpu_isa::sse41, dnnl::cpu_isa::avx, dnnl::cpu_isa::avx2, dnnl::cpu_isa::avx512_core,
          dnnl::cpu_isa::all};
#else
  return {dnnl::cpu_isa::all};
#endif
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, OneDnnGuardTest, testing::ValuesIn(InstructionSets()),
                         [](const testing::TestParamInfo<dnnl::cpu_isa>& info) {
                           switch (info.param) {
                             case dnnl::cpu_isa::sse41: return "SSE41";
                             case dnnl::cpu_isa::avx: return "AVX";
                             case dnnl::cpu_isa::avx2: return "AVX2";
                             case dnnl::cpu_isa::avx512_core: return "AVX512";
                             default: return "All";
                           }
                         });

}  // namespace
}  // namespace bitgrad
