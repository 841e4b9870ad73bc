// packed_conv2d against the convolution of the same numbers, computed tap by tap: exact on every instruction set.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cpu/conv_testing.h"
#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/conv2d.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// -1 and +1 in the order of the rows.
std::vector<int32_t> Signs(const BitMatrix& bits) {
  std::vector<int32_t> signs;
  for (int64_t i = 0; i < bits.rows(); ++i) {
    for (int64_t j = 0; j < bits.cols(); ++j) signs.push_back(bits.view().bit(i, j) ? 1 : -1);
  }
  return signs;
}

int32_t PaddingValue(Padding padding) { return padding == Padding::kZero ? 0 : padding == Padding::kPlusOne ? 1 : -1; }

class PackedConv2dTest : public CpuKernelTest {
 protected:
  // Calls body(geometry, x, w, dots) for all geometries; `dots` is the reference's result [N*P*Q, O]. It is computed
  // once, because the reference is slow and the same for all instruction sets.
  template <typename Body>
  void ForEachProblem(const Body& body) {
    struct Problem {
      ConvGeometry geometry;
      BitMatrix x, w;
      std::vector<int32_t> dots;
    };
    static const std::vector<Problem>* const problems = [] {
      auto* problems = new std::vector<Problem>;
      Random random(1);
      for (const ConvGeometry& g : ConvGeometries()) {
        BitMatrix x = RandomBits(random, g.batch, g.height * g.width * g.channels);
        BitMatrix w = RandomBits(random, g.filters, g.patch_size());
        std::vector<int32_t> dots = reference::Conv2d(g, Signs(x), Signs(w), PaddingValue(g.padding));
        problems->push_back({g, std::move(x), std::move(w), std::move(dots)});
      }
      return problems;
    }();
    for (const Problem& problem : *problems) {
      SCOPED_TRACE(testing::Message() << "seed 1, " << problem.geometry);
      body(problem.geometry, problem.x, problem.w, problem.dots);
      if (HasFailure()) return;
    }
  }
};

TEST_P(PackedConv2dTest, FloatsAreScaledOnce) {
  ForEachProblem([&](const ConvGeometry& g, const BitMatrix& x, const BitMatrix& w, const std::vector<int32_t>& dots) {
    const std::vector<float> y = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> y(dots.size(), -7.5f);
      kernels_.packed_conv2d(context, g, x.view(), w.view(),
                             {.floats = {y.data(), g.pixels(), g.filters}, .scale = 0.37f});
      return y;
    });
    ExpectSame(
        g.pixels(), g.filters, [&](int64_t i, int64_t o) { return y[i * g.filters + o]; },
        [&](int64_t i, int64_t o) { return static_cast<float>(dots[i * g.filters + o]) * 0.37f; });
  });
}

TEST_P(PackedConv2dTest, ThresholdBitsAreABitImage) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  ForEachProblem([&](const ConvGeometry& g, const BitMatrix& x, const BitMatrix& w, const std::vector<int32_t>& dots) {
    std::vector<int32_t> threshold(g.filters);
    std::vector<uint8_t> flip(g.filters);
    for (int64_t o = 0; o < g.filters; ++o) {
      // Mostly a sum that occurs, so that the case of equality is tested.
      const uint32_t draw = random.Below(8);
      threshold[o] = draw == 0   ? INT32_MIN
                     : draw == 1 ? INT32_MAX
                                 : dots[random.Below(static_cast<uint32_t>(g.pixels())) * g.filters + o];
      flip[o] = static_cast<uint8_t>(random.Below(2));
    }
    const int64_t image_bits = g.out_height() * g.out_width() * g.filters;
    for (ExecContext* context : {&one_, &two_}) {
      SCOPED_TRACE(context == &one_ ? "one thread" : "two threads");
      BitMatrix y = GarbageBits(g.batch, image_bits);
      kernels_.packed_conv2d(*context, g, x.view(), w.view(),
                             {.bits = y.mutable_view(), .threshold = threshold.data(), .flip = flip.data()});
      ASSERT_TRUE(context->status().ok());
      ExpectBits(y, [&](int64_t n, int64_t j) {
        return (dots[n * image_bits + j] >= threshold[j % g.filters]) != (flip[j % g.filters] != 0);
      });
    }
  });
}

BITGRAD_INSTANTIATE_FOR_TARGETS(PackedConv2dTest);

}  // namespace
}  // namespace bitgrad
