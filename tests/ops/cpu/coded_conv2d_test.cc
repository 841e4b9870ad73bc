// coded_conv2d against the convolution of the codes, computed tap by tap: exact for bit planes and for bytes, on every
// instruction set.

#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/tests/ops/cpu/conv_testing.h"
#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/coded_gemm.h"
#include "bitgrad/tests/reference/conv2d.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr Encoding kBinary{EncodingKind::kBinary, 1};
constexpr Encoding kTernary{EncodingKind::kTernary, 2};
constexpr Encoding Symmetric(int bits) { return {EncodingKind::kSymmetric, bits}; }
constexpr Encoding Unsigned(int bits) { return {EncodingKind::kUnsigned, bits}; }

// Encodings of images and filters, which take turns: 1 to 64 passes over planes, all forms, and weights of 8 bits.
constexpr std::pair<Encoding, Encoding> kEncodings[] = {
    {Symmetric(8), kBinary},     {kTernary, kTernary},    {kTernary, kBinary},         {kBinary, kTernary},
    {Unsigned(2), Symmetric(3)}, {kBinary, kBinary},      {Unsigned(4), Symmetric(8)}, {Symmetric(2), Unsigned(2)},
    {Symmetric(5), Unsigned(1)}, {kBinary, Symmetric(7)}, {Unsigned(8), Symmetric(8)},
};

// Random stored codes. Every other time they are mostly the least and the largest code, with which sums of bytes would
// overflow.
TestMatrix<uint8_t> RandomCodes(Random& random, const Encoding& encoding, int64_t rows, int64_t cols) {
  const uint32_t count = encoding.kind == EncodingKind::kTernary ? 3 : 1u << encoding.bits;
  const bool extreme = random.Below(2) == 0;
  return TestMatrix<uint8_t>::Of(rows, cols, 3, [&] {
    const uint32_t c = random.Below(count);
    return static_cast<uint8_t>(extreme && random.Below(8) != 0 ? (c % 4 == 0 ? 0 : count - 1) : c);
  });
}

std::vector<int32_t> Codes(const Encoding& encoding, const TestMatrix<uint8_t>& stored) {
  std::vector<int32_t> codes;
  for (int64_t i = 0; i < stored.rows(); ++i) {
    for (int64_t j = 0; j < stored.cols(); ++j) {
      codes.push_back(static_cast<int32_t>(reference::Code(encoding, stored.at(i, j))));
    }
  }
  return codes;
}

struct Problem {
  ConvGeometry geometry;
  Encoding x_encoding, w_encoding;
  int32_t padding_code;
  TestMatrix<uint8_t> x, w;
  std::vector<int32_t> dots;
};

Problem MakeProblem(Random& random, const ConvGeometry& g, int turn) {
  std::pair<Encoding, Encoding> encodings = kEncodings[turn % std::size(kEncodings)];
  if (!DotIsExact(encodings.first, encodings.second, g.patch_size())) encodings = {Symmetric(3), kTernary};
  const auto& [x_encoding, w_encoding] = encodings;
  TestMatrix<uint8_t> x = RandomCodes(random, x_encoding, g.batch, g.height * g.width * g.channels);
  TestMatrix<uint8_t> w = RandomCodes(random, w_encoding, g.filters, g.patch_size());
  // Zero, or the magnitude of the largest code with either sign, whether that is a code or not.
  const int32_t largest = static_cast<int32_t>(x_encoding.max_code());
  const int32_t padding_code = g.padding == Padding::kZero ? 0 : g.padding == Padding::kPlusOne ? largest : -largest;
  std::vector<int32_t> dots = reference::Conv2d(g, Codes(x_encoding, x), Codes(w_encoding, w), padding_code);
  return {g, x_encoding, w_encoding, padding_code, std::move(x), std::move(w), std::move(dots)};
}

// Computed once, because the reference is slow and the same for all instruction sets.
const std::vector<Problem>& Problems() {
  static const std::vector<Problem>* const problems = [] {
    auto* problems = new std::vector<Problem>;
    Random random(1);
    int turn = 0;
    for (const ConvGeometry& g : ConvGeometries()) problems->push_back(MakeProblem(random, g, turn++));
    // Each pair of encodings with each border, and several kernels with a border.
    for (size_t i = 0; i < std::size(kEncodings); ++i) {
      for (const Padding padding : {Padding::kZero, Padding::kPlusOne, Padding::kMinusOne}) {
        const ConvGeometry g = {.batch = 2,
                                .height = 5,
                                .width = 4,
                                .channels = 10,
                                .filters = 9,
                                .kernel_height = 3,
                                .kernel_width = 3,
                                .pad_height = 1,
                                .pad_width = 1,
                                .padding = padding};
        problems->push_back(MakeProblem(random, g, static_cast<int>(i)));
      }
    }
    return problems;
  }();
  return *problems;
}

class CodedConv2dTest : public CpuKernelTest {
 protected:
  // Runs the kernel on one thread and on two, and calls check(run), where run(out) convolves into `out`.
  template <typename Check>
  void ForEachProblem(const Check& check) {
    for (const Problem& problem : Problems()) {
      SCOPED_TRACE(testing::Message() << "seed 1, " << problem.geometry << ", " << Name(problem.x_encoding.kind)
                                      << problem.x_encoding.bits << " x " << Name(problem.w_encoding.kind)
                                      << problem.w_encoding.bits << ", border " << problem.padding_code);
      std::vector<BitMatrix> planes;
      ConstPlanesView w = {problem.w_encoding, {}};
      BitMatrixView views[kMaxCodeBits];
      for (int q = 0; q < problem.w_encoding.bits; ++q) {
        planes.emplace_back(problem.w.rows(), problem.w.cols());
        views[q] = planes.back().mutable_view();
        w.planes[q] = views[q];
      }
      kernels_.pack_planes(one_, problem.w.view(), problem.w_encoding.bits, views);
      for (ExecContext* context : {&one_, &two_}) {
        SCOPED_TRACE(context == &one_ ? "one thread" : "two threads");
        check(problem, [&](const DotOutput& out) {
          kernels_.coded_conv2d(*context, problem.geometry, {problem.x_encoding, problem.x.view()}, w,
                                problem.padding_code, out);
        });
        ASSERT_TRUE(context->status().ok());
      }
      if (HasFailure()) return;
    }
  }
};

TEST_P(CodedConv2dTest, FloatsAreScaledOnce) {
  ForEachProblem([](const Problem& problem, const auto& run) {
    const int64_t pixels = problem.geometry.pixels(), filters = problem.geometry.filters;
    std::vector<float> y(problem.dots.size(), -7.5f);
    run({.floats = {y.data(), pixels, filters}, .scale = 0.37f});
    ExpectSame(
        pixels, filters, [&](int64_t i, int64_t o) { return y[i * filters + o]; },
        [&](int64_t i, int64_t o) { return static_cast<float>(problem.dots[i * filters + o]) * 0.37f; });
  });
}

TEST_P(CodedConv2dTest, ThresholdBitsAreABitImage) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  ForEachProblem([&](const Problem& problem, const auto& run) {
    const ConvGeometry& g = problem.geometry;
    std::vector<int32_t> threshold(g.filters);
    std::vector<uint8_t> flip(g.filters);
    for (int64_t o = 0; o < g.filters; ++o) {
      // Mostly a sum that occurs, so that the case of equality is tested.
      const uint32_t draw = random.Below(8);
      threshold[o] = draw == 0   ? INT32_MIN
                     : draw == 1 ? INT32_MAX
                                 : problem.dots[random.Below(static_cast<uint32_t>(g.pixels())) * g.filters + o];
      flip[o] = static_cast<uint8_t>(random.Below(2));
    }
    const int64_t image_bits = g.out_height() * g.out_width() * g.filters;
    BitMatrix y = GarbageBits(g.batch, image_bits);
    run({.bits = y.mutable_view(), .threshold = threshold.data(), .flip = flip.data()});
    ExpectBits(y, [&](int64_t n, int64_t j) {
      return (problem.dots[n * image_bits + j] >= threshold[j % g.filters]) != (flip[j % g.filters] != 0);
    });
  });
}

BITGRAD_INSTANTIATE_FOR_TARGETS(CodedConv2dTest);

}  // namespace
}  // namespace bitgrad
