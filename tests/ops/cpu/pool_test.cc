#include "bitgrad/ops/kernels/pool.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/pool.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using PoolTest = CpuKernelTest;

// Windows that are alone, in rows, overlapping, with gaps between them, over the border, larger than half the image.
std::vector<PoolGeometry> Windows() {
  return {
      {.batch = 2,
       .height = 6,
       .width = 8,
       .kernel_height = 2,
       .kernel_width = 2,
       .stride_height = 2,
       .stride_width = 2},
      {.batch = 3,
       .height = 7,
       .width = 5,
       .kernel_height = 2,
       .kernel_width = 2,
       .stride_height = 2,
       .stride_width = 2},
      {.batch = 1,
       .height = 9,
       .width = 7,
       .kernel_height = 3,
       .kernel_width = 3,
       .stride_height = 2,
       .stride_width = 2,
       .pad_height = 1,
       .pad_width = 1},
      {.batch = 2,
       .height = 8,
       .width = 9,
       .kernel_height = 3,
       .kernel_width = 3,
       .stride_height = 2,
       .stride_width = 2},
      {.batch = 2,
       .height = 5,
       .width = 6,
       .kernel_height = 3,
       .kernel_width = 2,
       .stride_height = 1,
       .stride_width = 1,
       .pad_height = 2,
       .pad_width = 1},
      {.batch = 1,
       .height = 11,
       .width = 10,
       .kernel_height = 2,
       .kernel_width = 3,
       .stride_height = 3,
       .stride_width = 4,
       .pad_height = 1,
       .pad_width = 0},
      {.batch = 2,
       .height = 3,
       .width = 4,
       .kernel_height = 1,
       .kernel_width = 1,
       .stride_height = 1,
       .stride_width = 1},
      {.batch = 1,
       .height = 5,
       .width = 3,
       .kernel_height = 1,
       .kernel_width = 1,
       .stride_height = 2,
       .stride_width = 3},
      {.batch = 3,
       .height = 4,
       .width = 3,
       .kernel_height = 4,
       .kernel_width = 3,
       .stride_height = 1,
       .stride_width = 1},
      {.batch = 1,
       .height = 3,
       .width = 3,
       .kernel_height = 5,
       .kernel_width = 5,
       .stride_height = 1,
       .stride_width = 1,
       .pad_height = 4,
       .pad_width = 4},
      {.batch = 1,
       .height = 17,
       .width = 18,
       .kernel_height = 16,
       .kernel_width = 16,
       .stride_height = 1,
       .stride_width = 1},
  };
}

// The windows with several numbers of channels; the last geometries are enough work for two threads.
std::vector<PoolGeometry> Geometries() {
  std::vector<PoolGeometry> all;
  for (PoolGeometry g : Windows()) {
    for (const int64_t channels : {1, 3, 4, 15, 16, 17, 33, 64, 100}) {
      g.channels = channels;
      all.push_back(g);
    }
  }
  for (const int64_t stride : {1, 2}) {
    all.push_back({.batch = 3,
                   .height = 20,
                   .width = 21,
                   .channels = 65,
                   .kernel_height = 3,
                   .kernel_width = 3,
                   .stride_height = stride,
                   .stride_width = stride,
                   .pad_height = 1,
                   .pad_width = 1});
  }
  return all;
}

int64_t InputSize(const PoolGeometry& g) { return g.batch * g.height * g.width * g.channels; }
int64_t OutputSize(const PoolGeometry& g) { return g.pixels() * g.channels; }

testing::Message Describe(const PoolGeometry& g) {
  return testing::Message() << "[" << g.batch << ", " << g.height << ", " << g.width << ", " << g.channels
                            << "], kernel " << g.kernel_height << " " << g.kernel_width << ", stride "
                            << g.stride_height << " " << g.stride_width << ", pad " << g.pad_height << " "
                            << g.pad_width;
}

void ExpectSameVectors(const std::vector<float>& actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  ExpectSame(
      1, static_cast<int64_t>(actual.size()), [&](int64_t, int64_t j) { return actual[j]; },
      [&](int64_t, int64_t j) { return expected[j]; });
}

// Only few different values, so that windows have several largest elements; with NaN, infinities and zeros of both
// signs.
std::vector<float> ValuesWithTies(Random& random, int64_t count) {
  const float inf = std::numeric_limits<float>::infinity();
  const float values[] = {-2, -1, -0.0f, 0, 1, 1.5f, inf, -inf, NAN};
  return TestMatrix<float>::Of(1, count, 0, [&] { return values[random.Below(random.Below(8) == 0 ? 9 : 6)]; })
      .values();
}

TEST_P(PoolTest, Max) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(Describe(g));
    const std::vector<float> x = ValuesWithTies(random, InputSize(g));
    const reference::MaxPool expected = reference::MaxPoolForward(g, x);
    const auto y = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> y(OutputSize(g), -99), alone = y;
      std::vector<uint8_t> argmax(OutputSize(g), 0xAB);
      kernels_.max_pool_forward(context, g, x.data(), y.data(), argmax.data());
      EXPECT_EQ(argmax, expected.argmax);
      kernels_.max_pool_forward(context, g, x.data(), alone.data(), nullptr);
      EXPECT_EQ(BytesOf(alone), BytesOf(y));
      return y;
    });
    // The largest element is copied, so its bits are the same.
    EXPECT_EQ(BytesOf(y), BytesOf(expected.y));
    if (HasFailure()) return;
  }
}

TEST_P(PoolTest, MaxBackward) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(Describe(g));
    const std::vector<uint8_t> argmax = reference::MaxPoolForward(g, ValuesWithTies(random, InputSize(g))).argmax;
    // A NaN in the gradient reaches only the element that it belongs to.
    const auto dy = HardFloats(random, 1, OutputSize(g)).values();
    const auto dx = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> dx(InputSize(g), NAN);
      kernels_.max_pool_backward(context, g, argmax.data(), dy.data(), dx.data());
      return dx;
    });
    ExpectSameVectors(dx, reference::MaxPoolBackward(g, argmax, dy));
    if (HasFailure()) return;
  }
}

TEST_P(PoolTest, Average) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(Describe(g));
    const auto x = RandomVector(random, InputSize(g));
    const auto y = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> y(OutputSize(g), NAN);
      kernels_.average_pool_forward(context, g, x.data(), y.data());
      return y;
    });
    ExpectSameVectors(y, reference::AveragePoolForward(g, x));
    if (HasFailure()) return;
  }
}

TEST_P(PoolTest, AverageBackward) {
  Random random(4);
  BITGRAD_TRACE_SEED(random);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(Describe(g));
    const auto dy = RandomVector(random, OutputSize(g));
    const auto dx = OnOneAndTwoThreads([&](ExecContext& context) {
      std::vector<float> dx(InputSize(g), NAN);
      kernels_.average_pool_backward(context, g, dy.data(), dx.data());
      return dx;
    });
    ExpectSameVectors(dx, reference::AveragePoolBackward(g, dy));
    if (HasFailure()) return;
  }
}

// Without argmax a window may have any size.
TEST_P(PoolTest, WindowsOfMoreElementsThanAByteCounts) {
  Random random(5);
  BITGRAD_TRACE_SEED(random);
  const PoolGeometry g = {.batch = 2,
                          .height = 19,
                          .width = 23,
                          .channels = 5,
                          .kernel_height = 18,
                          .kernel_width = 23,
                          .stride_height = 1,
                          .stride_width = 1};
  const auto x = RandomVector(random, InputSize(g));
  std::vector<float> y(OutputSize(g), NAN);
  kernels_.max_pool_forward(one_, g, x.data(), y.data(), nullptr);
  ExpectSameVectors(y, reference::MaxPoolForward(g, x).y);
  kernels_.average_pool_forward(one_, g, x.data(), y.data());
  ExpectSameVectors(y, reference::AveragePoolForward(g, x));
}

// ---- Bits ---------------------------------------------------------------------------------------------

TEST_P(PoolTest, MaxOfBits) {
  Random random(6);
  BITGRAD_TRACE_SEED(random);
  std::vector<PoolGeometry> geometries;
  for (PoolGeometry g : Windows()) {
    for (const int64_t channels : {1, 3, 31, 63, 64, 65, 100, 127, 128, 192}) {
      g.channels = channels;
      geometries.push_back(g);
    }
  }
  // Enough for two threads, that share an image's row.
  for (const int64_t channels : {100, 128}) {
    geometries.push_back({.batch = 1,
                          .height = 41,
                          .width = 40,
                          .channels = channels,
                          .kernel_height = 2,
                          .kernel_width = 2,
                          .stride_height = 2,
                          .stride_width = 2});
  }
  for (const PoolGeometry& g : geometries) {
    SCOPED_TRACE(Describe(g));
    const BitMatrix x = RandomBits(random, g.batch, g.height * g.width * g.channels);
    const auto flips =
        TestMatrix<uint8_t>::Of(1, g.channels, 0, [&] { return static_cast<uint8_t>(random.Below(2)); }).values();
    for (const uint8_t* flip : {static_cast<const uint8_t*>(nullptr), flips.data()}) {
      const auto expected = reference::MaxPoolBits(g, x.view(), flip);
      OnOneAndTwoThreads([&](ExecContext& context) {
        BitMatrix y = GarbageBits(g.batch, g.out_height() * g.out_width() * g.channels);
        kernels_.max_pool_bits(context, g, x.view(), flip, y.mutable_view());
        ExpectBits(y, [&](int64_t i, int64_t j) { return expected[i][j]; });
        return std::vector<uint64_t>(y.view().words, y.view().words + y.byte_size() / sizeof(uint64_t));
      });
    }
    if (HasFailure()) return;
  }
}

BITGRAD_INSTANTIATE_FOR_TARGETS(PoolTest);

}  // namespace
}  // namespace bitgrad
