#include "bitgrad/tests/reference/pool.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

// Windows that are alone, in rows, overlapping, with gaps between them, over the border, larger than half the image, as
// large as the image, larger than it: batch, height, width; channels; kernel; stride; padding; partial.
constexpr PoolGeometry kWindows[] = {
    {2, 6, 8, 0, 2, 2, 2, 2},
    {3, 7, 5, 0, 2, 2, 2, 2},
    {1, 9, 7, 0, 3, 3, 2, 2, 1, 1},
    {2, 8, 9, 0, 3, 3, 2, 2},
    {2, 5, 6, 0, 3, 2, 1, 1, 2, 1},
    {1, 11, 10, 0, 2, 3, 3, 4, 1, 0},
    {2, 3, 4, 0, 1, 1, 1, 1},
    {1, 5, 3, 0, 1, 1, 2, 3},
    {3, 4, 3, 0, 4, 3, 1, 1},
    {1, 11, 4, 0, 1, 2, 3, 2},
    {2, 4, 5, 0, 4, 5, 1, 1},
    {1, 3, 3, 0, 5, 5, 1, 1, 4, 4},
    {1, 2, 3, 0, 5, 5, 1, 2, 3, 2},
    {1, 17, 18, 0, 16, 16, 1, 1},
    // Partial windows at the lower and the right border.
    {2, 7, 8, 0, 2, 2, 2, 2, 0, 0, true},
    {2, 9, 10, 0, 4, 4, 2, 2, 0, 0, true},
    {1, 8, 7, 0, 4, 3, 3, 2, 1, 1, true},
    {1, 6, 5, 0, 3, 3, 3, 3, 0, 0, true},
};

int64_t InputSize(const PoolGeometry& g) { return g.batch * g.height * g.width * g.channels; }
int64_t OutputSize(const PoolGeometry& g) { return g.pixels() * g.channels; }

testing::Message Describe(const PoolGeometry& g) {
  return testing::Message() << "[" << g.batch << ", " << g.height << ", " << g.width << ", " << g.channels
                            << "], kernel " << g.kernel_height << " " << g.kernel_width << ", stride "
                            << g.stride_height << " " << g.stride_width << ", pad " << g.pad_height << " "
                            << g.pad_width << (g.partial ? ", partial" : "");
}

// Only few different values, so that windows have several largest elements; with NaN, infinities and zeros of both
// signs.
std::vector<float> ValuesWithTies(Random& random, int64_t count) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kValues[] = {-2, -1, -0.0f, 0, 1, 1.5f, kInf, -kInf, NAN};
  std::vector<float> values(count);
  for (float& value : values) value = kValues[random.Below(random.Below(8) == 0 ? 9 : 6)];
  return values;
}

// The same bits, those of NaNs too.
void ExpectBytes(const std::vector<float>& actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  EXPECT_EQ(std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)), 0);
}

class PoolTest : public KernelTest {
 protected:
  static std::vector<PoolGeometry> WithChannels(const std::vector<int64_t>& all_channels) {
    std::vector<PoolGeometry> all;
    for (PoolGeometry g : kWindows) {
      for (const int64_t channels : all_channels) {
        g.channels = channels;
        all.push_back(g);
      }
    }
    return all;
  }

  // The last two geometries are enough work for two threads.
  static std::vector<PoolGeometry> Geometries() {
    std::vector<PoolGeometry> all = WithChannels({1, 3, 4, 15, 16, 17, 31, 32, 33, 64, 65, 100, 130});
    for (const int64_t stride : {1, 2}) {
      all.push_back({3, 20, 21, 65, 3, 3, stride, stride, 1, 1});
    }
    return all;
  }
};

TEST_P(PoolTest, Max) {
  Random random(1);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(Describe(g));
    const Array<float> x(*this, ValuesWithTies(random, InputSize(g)));
    const Array<float> y(*this, OutputSize(g)), alone(*this, OutputSize(g));
    const Array<uint8_t> argmax(*this, OutputSize(g));
    Run([&](ExecContext& c, const Kernels& k) {
      k.max_pool_forward(c, g, x.on(c), y.on(c), argmax.on(c));
      k.max_pool_forward(c, g, x.on(c), alone.on(c), nullptr);
    });
    // The largest element is copied, so its bits are the same.
    const reference::MaxPool expected = reference::MaxPoolForward(g, x.initial());
    ExpectBytes(y.values(), expected.y);
    ExpectBytes(alone.values(), expected.y);
    EXPECT_EQ(argmax.values(), expected.argmax);
    if (HasFailure()) return;
  }
}

TEST_P(PoolTest, MaxBackward) {
  Random random(2);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(Describe(g));
    const Array<uint8_t> argmax(*this, reference::MaxPoolForward(g, ValuesWithTies(random, InputSize(g))).argmax);
    // A NaN in the gradient reaches only the element that it belongs to.
    const Array<float> dy(*this, HardVector(random, OutputSize(g))), dx(*this, InputSize(g));
    Run([&](ExecContext& c, const Kernels& k) { k.max_pool_backward(c, g, argmax.on(c), dy.on(c), dx.on(c)); });
    const std::vector<float> expected = reference::MaxPoolBackward(g, argmax.initial(), dy.initial());
    ExpectValues(dx, [&](int64_t i) { return expected[i]; });
    if (HasFailure()) return;
  }
}

TEST_P(PoolTest, Average) {
  Random random(3);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(Describe(g));
    const Array<float> x(*this, RandomVector(random, InputSize(g))), y(*this, OutputSize(g));
    const Array<float> dy(*this, RandomVector(random, OutputSize(g))), dx(*this, InputSize(g));
    Run([&](ExecContext& c, const Kernels& k) {
      k.average_pool_forward(c, g, x.on(c), y.on(c));
      k.average_pool_backward(c, g, dy.on(c), dx.on(c));
    });
    const std::vector<float> expected = reference::AveragePoolForward(g, x.initial());
    const std::vector<float> gradient = reference::AveragePoolBackward(g, dy.initial());
    ExpectValues(y, [&](int64_t i) { return expected[i]; });
    ExpectValues(dx, [&](int64_t i) { return gradient[i]; });
    if (HasFailure()) return;
  }
}

// Without argmax a window may have any size.
TEST_P(PoolTest, WindowsOfMoreElementsThanAByteCounts) {
  Random random(5);
  const PoolGeometry g = {2, 19, 23, 5, 18, 23, 1, 1};
  const Array<float> x(*this, RandomVector(random, InputSize(g)));
  const Array<float> max(*this, OutputSize(g)), average(*this, OutputSize(g));
  Run([&](ExecContext& c, const Kernels& k) {
    k.max_pool_forward(c, g, x.on(c), max.on(c), nullptr);
    k.average_pool_forward(c, g, x.on(c), average.on(c));
  });
  ExpectBytes(max.values(), reference::MaxPoolForward(g, x.initial()).y);
  const std::vector<float> expected = reference::AveragePoolForward(g, x.initial());
  ExpectValues(average, [&](int64_t i) { return expected[i]; });
}

// Arrays whose first element is not aligned.
TEST_P(PoolTest, TakesAnyAlignment) {
  Random random(6);
  const PoolGeometry g = {.batch = 2, .height = 4, .width = 4, .channels = 8, .kernel_height = 2, .kernel_width = 2};
  const Array<float> x(*this, ValuesWithTies(random, InputSize(g) + 1));
  const Array<float> y(*this, OutputSize(g) + 1), dx(*this, InputSize(g) + 1);
  const Array<uint8_t> argmax(*this, OutputSize(g) + 1);
  Run([&](ExecContext& c, const Kernels& k) {
    k.max_pool_forward(c, g, x.on(c) + 1, y.on(c) + 1, argmax.on(c) + 1);
    k.max_pool_backward(c, g, argmax.on(c) + 1, y.on(c) + 1, dx.on(c) + 1);
  });
  const reference::MaxPool expected = reference::MaxPoolForward(g, {x.initial().begin() + 1, x.initial().end()});
  const std::vector<float> gradient = reference::MaxPoolBackward(g, expected.argmax, expected.y);
  ExpectValues(y, [&](int64_t i) { return i == 0 ? y.initial(0) : expected.y[i - 1]; });
  ExpectValues(argmax, [&](int64_t i) { return i == 0 ? argmax.initial(0) : expected.argmax[i - 1]; });
  ExpectValues(dx, [&](int64_t i) { return i == 0 ? dx.initial(0) : gradient[i - 1]; });
}

TEST_P(PoolTest, MaxOfBits) {
  Random random(7);
  std::vector<PoolGeometry> geometries = WithChannels({1, 3, 4, 31, 32, 33, 63, 64, 65, 100, 127, 128, 130, 192});
  // Enough for two threads, that share an image's row.
  for (const int64_t channels : {100, 128}) {
    geometries.push_back({1, 41, 40, channels, 2, 2, 2, 2});
  }
  for (const PoolGeometry& g : geometries) {
    SCOPED_TRACE(Describe(g));
    const int64_t image = g.height * g.width * g.channels, out_image = g.out_height() * g.out_width() * g.channels;
    const BitArray x = BitArray::OfRandomBits(*this, random, g.batch, image);
    const Array<uint8_t> flips(*this, RandomBytes(random, g.channels, 2));
    const BitArray y(*this, g.batch, out_image), unflipped(*this, g.batch, out_image);
    Run([&](ExecContext& c, const Kernels& k) {
      k.max_pool_bits(c, g, x.on(c), flips.on(c), y.on(c));
      k.max_pool_bits(c, g, x.on(c), nullptr, unflipped.on(c));
    });
    std::vector<uint64_t> words = x.words();  // on the host
    const ConstBitMatrixView bits = {words.data(), g.batch, image, BitMatrix::WordsPerRow(image)};
    const auto flipped = reference::MaxPoolBits(g, bits, flips.initial().data());
    const auto plain = reference::MaxPoolBits(g, bits, nullptr);
    ExpectBits(y, [&](int64_t i, int64_t j) { return flipped[i][j]; });
    ExpectBits(unflipped, [&](int64_t i, int64_t j) { return plain[i][j]; });
    if (HasFailure()) return;
  }
}

TEST_P(PoolTest, MaxOfCodes) {
  Random random(9);
  for (const PoolGeometry& g : Geometries()) {
    const int levels = random.Below(2) == 0 ? 3 : 255;
    SCOPED_TRACE(Describe(g) << ", " << levels << " levels");
    const Array<uint8_t> x(*this, RandomBytes(random, InputSize(g), static_cast<uint32_t>(levels + 1)));
    const Array<uint8_t> flips(*this, RandomBytes(random, g.channels, 2));
    const Array<uint8_t> y(*this, OutputSize(g)), unflipped(*this, OutputSize(g));
    Run([&](ExecContext& c, const Kernels& k) {
      k.max_pool_codes(c, g, x.on(c), levels, flips.on(c), y.on(c));
      k.max_pool_codes(c, g, x.on(c), levels, nullptr, unflipped.on(c));
    });
    const std::vector<uint8_t> most = reference::MaxPoolCodes(g, x.initial());
    ExpectValues(unflipped, [&](int64_t i) { return most[i]; });
    ExpectValues(y, [&](int64_t i) { return flips.initial(i % g.channels) != 0 ? levels - most[i] : most[i]; });
    if (HasFailure()) return;
  }
}

TEST_P(PoolTest, AverageOfCodes) {
  constexpr Encoding kEncodings[] = {{EncodingKind::kBinary, 1},         {EncodingKind::kTernary, 2},
                                     {EncodingKind::kSymmetric, 8},      {EncodingKind::kUnsigned, 4},
                                     {EncodingKind::kTwosComplement, 8}, {EncodingKind::kLog, 4},
                                     {EncodingKind::kLogNonzero, 4}};
  Random random(10);
  size_t next = 0;
  for (const PoolGeometry& g : Geometries()) {
    const Encoding& encoding = kEncodings[next++ % std::size(kEncodings)];
    SCOPED_TRACE(Describe(g) << ", " << Name(encoding.kind));
    const uint32_t codes = static_cast<uint32_t>(encoding.largest_stored()) + 1;
    const Array<uint8_t> x(*this, RandomBytes(random, InputSize(g), codes));
    const Array<float> scale(*this, RandomVector(random, 1));
    const Array<float> y(*this, OutputSize(g)), on_device(*this, OutputSize(g));
    Run([&](ExecContext& c, const Kernels& k) {
      const int64_t windows = g.pixels();
      k.average_pool_codes(c, g, encoding, x.on(c), {.floats = {y.on(c), windows, g.channels}, .scale = 0.37f});
      k.average_pool_codes(
          c, g, encoding, x.on(c),
          {.floats = {on_device.on(c), windows, g.channels}, .scale = ScaleView(0.3f, scale.on(c), 0)});
    });
    const std::vector<int64_t> sums = reference::SumPoolCodes(g, encoding, x.initial());
    const std::vector<float> counts = reference::PoolCounts(g);
    const auto mean = [&](int64_t i, float scale) { return static_cast<float>(sums[i]) * (scale / counts[i]); };
    ExpectValues(y, [&](int64_t i) { return mean(i, 0.37f); });
    ExpectValues(on_device, [&](int64_t i) { return mean(i, 0.3f * scale.initial(0)); });
    if (HasFailure()) return;
  }
}

// Sums at a threshold, one below it, and thresholds that every sum or none reaches.
TEST_P(PoolTest, SumsOfCodesToCodes) {
  Random random(11);
  int levels = 1;
  for (const PoolGeometry& g : Geometries()) {
    constexpr EncodingKind kKinds[] = {EncodingKind::kUnsigned, EncodingKind::kSymmetric, EncodingKind::kLogNonzero};
    const Encoding encoding = {kKinds[levels % 3], 2};
    SCOPED_TRACE(Describe(g) << ", " << Name(encoding.kind) << ", " << levels << " levels");
    const Array<uint8_t> x(*this, RandomBytes(random, InputSize(g), 4));
    const std::vector<int64_t> sums = reference::SumPoolCodes(g, encoding, x.initial());
    const int64_t channels = g.channels;
    std::vector<int32_t> thresholds(levels * channels);
    for (int64_t c = 0; c < channels; ++c) {
      std::vector<int32_t> column(levels);
      for (int32_t& threshold : column) {
        const int64_t window = random.Below(static_cast<uint32_t>(g.pixels()));
        threshold = static_cast<int32_t>(sums[window * channels + c]) + static_cast<int32_t>(random.Below(2));
      }
      if (random.Below(4) == 0) column[0] = std::numeric_limits<int32_t>::min();
      if (random.Below(4) == 0) column[0] = std::numeric_limits<int32_t>::max();
      std::sort(column.begin(), column.end());
      for (int l = 0; l < levels; ++l) thresholds[l * channels + c] = column[l];
    }
    const Array<int32_t> threshold(*this, thresholds);
    const Array<uint8_t> flip(*this, RandomBytes(random, channels, 2)), y(*this, OutputSize(g));
    Run([&](ExecContext& c, const Kernels& k) {
      k.average_pool_codes(c, g, encoding, x.on(c),
                           {.codes = {y.on(c), g.pixels(), channels},
                            .levels = levels,
                            .threshold = threshold.on(c),
                            .flip = flip.on(c)});
    });
    ExpectValues(y, [&](int64_t i) {
      int reached = 0;
      for (int l = 0; l < levels; ++l) reached += sums[i] >= thresholds[l * channels + i % channels];
      return static_cast<uint8_t>(flip.initial(i % channels) != 0 ? levels - reached : reached);
    });
    if (HasFailure()) return;
    levels = levels % 15 + 1;
  }
}

TEST_P(PoolTest, PadsImages) {
  Random random(8);
  for (const int64_t channels : {1, 3, 4, 65}) {
    for (const int64_t pad_height : {0, 1, 3}) {
      for (const int64_t pad_width : {0, 2}) {
        SCOPED_TRACE(testing::Message() << channels << " channels, " << pad_height << " x " << pad_width);
        const ConvGeometry g = {.batch = 3,
                                .height = 4,
                                .width = 5,
                                .channels = channels,
                                .pad_height = pad_height,
                                .pad_width = pad_width};
        const int64_t height = g.height + 2 * pad_height, width = g.width + 2 * pad_width;
        const Array<float> x(*this, RandomVector(random, g.batch * g.height * g.width * channels));
        const Array<float> y(*this, g.batch * height * width * channels);
        Run([&](ExecContext& c, const Kernels& k) { k.pad_image_f32(c, g, -1.0f, x.on(c), y.on(c)); });
        ExpectValues(y, [&](int64_t i) {
          const int64_t channel = i % channels, w = i / channels % width - pad_width;
          const int64_t h = i / channels / width % height - pad_height, n = i / channels / width / height;
          if (h < 0 || h >= g.height || w < 0 || w >= g.width) return -1.0f;
          return x.initial(((n * g.height + h) * g.width + w) * channels + channel);
        });
      }
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(PoolTest);

}  // namespace
}  // namespace bitgrad
