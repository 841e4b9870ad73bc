// The kernels of tap_conv2d against the sum that it is, in double precision.

#include "bitgrad/runtime/tap_convolution.h"

#include <cmath>
#include <cstdint>
#include <random>
#include <type_traits>
#include <vector>

#include "bitgrad/runtime/tap_planes.h"
#include "bitgrad/runtime/tap_tables.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

struct Case {
  ConvGeometry geometry;
  std::vector<float> x, w;
  std::vector<uint8_t> taps;
};

Case RandomCase(std::mt19937& random, bool integers) {
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
  Case c;
  ConvGeometry& g = c.geometry;
  const int64_t channels[] = {1, 3, 16, 17, 40};
  g = {.batch = 1 + below(3),
       .height = 1 + below(20),
       .width = 1 + below(40),
       .channels = channels[below(5)],
       .filters = channels[below(5)],
       .kernel_height = 1 + below(4),
       .kernel_width = 1 + below(3),
       .stride_height = 1 + below(3),
       .stride_width = 1 + below(3)};
  g.pad_height = below(g.kernel_height);
  g.pad_width = below(g.kernel_width);
  if (g.height + 2 * g.pad_height < g.kernel_height) g.height = g.kernel_height;
  if (g.width + 2 * g.pad_width < g.kernel_width) g.width = g.kernel_width;
  const auto number = [&] {
    const int n = static_cast<int>(below(255)) - 127;
    return integers ? static_cast<float>(n) : static_cast<float>(n) / 113.0f;
  };
  for (int64_t j = 0; j < g.batch * g.height * g.width * g.channels; ++j) c.x.push_back(number());
  for (int64_t j = 0; j < g.filters * g.channels; ++j) {
    c.w.push_back(number());
    c.taps.push_back(static_cast<uint8_t>(below(g.kernel_height * g.kernel_width + 2)));
  }
  return c;
}

std::vector<double> Expected(const Case& c) {
  const ConvGeometry& g = c.geometry;
  std::vector<double> y;
  for (int64_t n = 0; n < g.batch; ++n) {
    for (int64_t p = 0; p < g.out_height(); ++p) {
      for (int64_t q = 0; q < g.out_width(); ++q) {
        for (int64_t o = 0; o < g.filters; ++o) {
          double sum = 0;
          for (int64_t i = 0; i < g.channels; ++i) {
            const int64_t tap = c.taps[o * g.channels + i];
            if (tap >= g.kernel_height * g.kernel_width) continue;
            const int64_t row = p * g.stride_height + tap / g.kernel_width - g.pad_height;
            const int64_t col = q * g.stride_width + tap % g.kernel_width - g.pad_width;
            if (row < 0 || col < 0 || row >= g.height || col >= g.width) continue;
            sum +=
                double{c.w[o * g.channels + i]} * double{c.x[((n * g.height + row) * g.width + col) * g.channels + i]};
          }
          y.push_back(sum);
        }
      }
    }
  }
  return y;
}

template <typename Kernel>
std::vector<float> OutputsOf(const Case& c, int threads) {
  const ConvGeometry& g = c.geometry;
  ExecContext context({.threads = threads});
  std::vector<float> y(static_cast<size_t>(g.batch * g.out_height() * g.out_width() * g.filters), NAN);
  Kernel(g, c.w.data(), c.taps.data()).Run(context, g.batch, c.x.data(), y.data());
  return y;
}

// What a machine runs, and each of the kernels of which it chooses one.
template <typename T>
class TapConvolutionTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::is_same_v<T, TapTables> && !TapTables::AreFor({.kernel_height = 1, .kernel_width = 1})) {
      GTEST_SKIP() << "this machine has no permutations of 16 floats";
    }
  }
};
using Kernels = testing::Types<TapConvolution, TapPlanes, TapTables>;
TYPED_TEST_SUITE(TapConvolutionTest, Kernels);

TYPED_TEST(TapConvolutionTest, IsTheSumOfOneProductPerChannel) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Case c = RandomCase(random, /*integers=*/false);
    const std::vector<double> expected = Expected(c);
    const std::vector<float> y = OutputsOf<TypeParam>(c, 1);
    ASSERT_EQ(y.size(), expected.size());
    for (size_t j = 0; j < y.size(); ++j) ASSERT_NEAR(y[j], expected[j], 1e-5) << j;
    // The order of a sum does not depend on the threads.
    EXPECT_EQ(OutputsOf<TypeParam>(c, 3), y);
  }
}

TYPED_TEST(TapConvolutionTest, IntegersAreExact) {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    std::mt19937 random(seed);
    const Case c = RandomCase(random, /*integers=*/true);
    const std::vector<double> expected = Expected(c);
    const std::vector<float> y = OutputsOf<TypeParam>(c, 1);
    ASSERT_EQ(std::vector<double>(y.begin(), y.end()), expected) << "seed " << seed;
  }
}

// So large that its rows are worked on in several blocks, of which the last one has fewer.
TYPED_TEST(TapConvolutionTest, LargeImages) {
  for (const int64_t stride : {1, 2}) {
    std::mt19937 random(9);
    Case c;
    c.geometry = {.batch = 1,
                  .height = 61,
                  .width = 70,
                  .channels = 64,
                  .filters = 20,
                  .kernel_height = 3,
                  .kernel_width = 3,
                  .stride_height = stride,
                  .stride_width = stride,
                  .pad_height = 1,
                  .pad_width = 1};
    for (int64_t j = 0; j < 61 * 70 * 64; ++j) c.x.push_back(static_cast<float>(random() % 256));
    for (int64_t j = 0; j < 20 * 64; ++j) {
      c.w.push_back(static_cast<float>(random() % 256) - 128);
      c.taps.push_back(static_cast<uint8_t>(random() % 9));
    }
    const std::vector<double> expected = Expected(c);
    for (const int threads : {1, 2}) {
      const std::vector<float> y = OutputsOf<TypeParam>(c, threads);
      ASSERT_EQ(std::vector<double>(y.begin(), y.end()), expected);
    }
  }
}

// Whatever the kernel, there is one that computes it.
TEST(TapConvolutionKernelTest, KernelsThatAreTooLargeForTables) {
  std::mt19937 random(11);
  Case c = RandomCase(random, /*integers=*/true);
  ConvGeometry& g = c.geometry;
  g.height = g.width = 9;
  g.kernel_height = 5;
  g.kernel_width = 3;
  g.pad_height = 2;
  g.pad_width = 1;
  EXPECT_FALSE(TapTables::AreFor(g));
  c.x.assign(static_cast<size_t>(g.batch * g.height * g.width * g.channels), 0.0f);
  for (float& x : c.x) x = static_cast<float>(random() % 9);
  for (uint8_t& tap : c.taps) tap = static_cast<uint8_t>(random() % 15);
  const std::vector<float> y = OutputsOf<TapConvolution>(c, 1);
  EXPECT_EQ(std::vector<double>(y.begin(), y.end()), Expected(c));
}

}  // namespace
}  // namespace bitgrad
