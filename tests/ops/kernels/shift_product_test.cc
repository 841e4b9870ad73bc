// The products of fixed-point codes against the formula of ops/kernels/shift_product.h, in 64 bits.

#include "bitgrad/ops/kernels/shift_product.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

constexpr int kNone = 100;  // in the place of a shortcut's shift: there is none

struct Case {
  ConvGeometry geometry;
  bool is_linear = false;
  Encoding x = {EncodingKind::kTwosComplement, 8};
  Encoding y = {EncodingKind::kTwosComplement, 8};
  int shift = 9;
  int shortcut_shift = kNone;
  bool has_flips = false;
};

int64_t RoundHalfUp(double v) { return static_cast<int64_t>(std::floor(v + 0.5)); }

std::vector<int32_t> RandomInts(Random& random, int64_t count, int32_t least, int32_t most) {
  std::vector<int32_t> values(static_cast<size_t>(count));
  for (int32_t& v : values) v = least + static_cast<int32_t>(random.Below(static_cast<uint32_t>(most - least) + 1));
  return values;
}

class ShiftProductTest : public KernelTest {
 protected:
  void Check(const Case& c) {
    Random random(7);
    const ConvGeometry& g = c.geometry;
    const int64_t k = g.patch_size(), pixels = g.pixels(), n = g.filters, count = pixels * n;
    const std::vector<int32_t> w = RandomInts(random, n * k, -128, 127);
    const std::vector<int8_t> bytes(w.begin(), w.end());
    const std::vector<int32_t> bias = RandomInts(random, n, -100000, 100000);
    const std::vector<uint8_t> flips = RandomBytes(random, c.has_flips ? n : 0, 2);
    const int levels = static_cast<int>(c.y.largest_stored());
    const auto x_least = static_cast<int32_t>(c.x.least_code()), y_least = static_cast<int32_t>(c.y.least_code());
    ShiftWeights weights = {
        .w = {bytes.data(), n, k}, .x_least = x_least, .bias = bias, .flips = flips, .levels = levels};
    if (!c.is_linear) weights.geometry = g;
    const Array<uint8_t> x(*this, RandomBytes(random, g.batch * g.height * g.width * g.channels,
                                              static_cast<uint32_t>(c.x.largest_stored()) + 1));
    const Array<uint8_t> shortcut(*this, RandomBytes(random, count)), codes(*this, count);
    const Array<int32_t> sums(*this, count);
    const Array<float> floats(*this, count);
    const ShiftRange range = {y_least, static_cast<int32_t>(c.y.code(levels))};
    Run([&](ExecContext& context, const Kernels& kernels) {
      std::unique_ptr<const ShiftFilters> filters;
      kernels.arrange_shift_filters(context, weights, &filters);
      for (int form = 0; form < 3; ++form) {
        ShiftOutput out = {.scale = 0.25f, .shift = c.shift, .range = range};
        if (c.shortcut_shift != kNone) {
          out.shortcut = shortcut.on(context);
          out.shortcut_least = -128;
          out.shortcut_shift = c.shortcut_shift;
        }
        if (form == 0) out.codes = codes.matrix(context, pixels, n, n);
        if (form == 1) out.floats = floats.matrix(context, pixels, n, n);
        if (form == 2) out.sums = sums.matrix(context, pixels, n, n);
        kernels.shift_product(context, *filters, c.is_linear ? pixels : g.batch, x.on(context), out);
      }
    });
    std::vector<int64_t> expected;
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
      const int64_t image = pixel / (g.out_height() * g.out_width()), p = pixel / g.out_width() % g.out_height(),
                    q = pixel % g.out_width();
      for (int64_t o = 0; o < n; ++o) {
        int64_t sum = bias[o];
        for (int64_t i = 0; i < k; ++i) {
          const int64_t r = i / (g.kernel_width * g.group_channels()), s = i / g.group_channels() % g.kernel_width;
          const int64_t channel = o / g.group_filters() * g.group_channels() + i % g.group_channels();
          const int64_t h = p * g.stride_height + r * g.dilation_height - g.pad_height;
          const int64_t v = q * g.stride_width + s * g.dilation_width - g.pad_width;
          if (h < 0 || h >= g.height || v < 0 || v >= g.width) continue;
          sum += (x_least + x.initial(((image * g.height + h) * g.width + v) * g.channels + channel)) * w[o * k + i];
        }
        if (c.shortcut_shift != kNone) {
          sum += RoundHalfUp(std::ldexp(shortcut.initial(pixel * n + o) - 128, c.shortcut_shift));
        }
        expected.push_back(sum);
      }
    }
    ExpectValues(sums, [&](int64_t i) { return expected[i]; });
    ExpectValues(floats, [&](int64_t i) { return static_cast<float>(expected[i]) * 0.25f; });
    ExpectValues(codes, [&](int64_t i) {
      const int64_t rounded = RoundHalfUp(std::ldexp(static_cast<double>(expected[i]), -c.shift));
      const int64_t code = std::clamp<int64_t>(rounded, range.least, range.most) - y_least;
      return c.has_flips && flips[i % n] != 0 ? levels - code : code;
    });
  }
};

ConvGeometry Image(int64_t batch, int64_t size, int64_t channels, int64_t filters, int64_t kernel, int64_t pad) {
  return {.batch = batch,
          .height = size,
          .width = size + 1,
          .channels = channels,
          .filters = filters,
          .kernel_height = kernel,
          .kernel_width = kernel,
          .pad_height = pad,
          .pad_width = pad};
}

TEST_P(ShiftProductTest, ConvolutionsOfAllWidths) {
  // Filters of fewer and more than a vector, a panel and a tile; output rows that are no multiple of a tile.
  for (const int64_t filters : {1, 10, 16, 32, 33, 50, 64, 100, 128}) {
    for (const int64_t size : {3, 7, 8, 15}) {
      if (GetParam().slow && filters * size > 500) continue;
      SCOPED_TRACE(testing::Message() << filters << " filters, size " << size);
      Check({.geometry = Image(2, size, 5, filters, 3, 1)});
    }
  }
}

TEST_P(ShiftProductTest, Geometries) {
  Check({.geometry = Image(3, 9, 3, 20, 5, 2)});
  Check({.geometry = Image(3, 9, 8, 20, 1, 0)});
  // Of one tap, whose patches are pixels: used in place, or not, as they are aligned or not.
  Check({.geometry = Image(2, 4, 16, 20, 1, 0)});
  Check({.geometry = Image(2, 4, 16, 20, 1, 1)});
  Check({.geometry = Image(2, 5, 16, 12, 3, 1)});
  ConvGeometry g = Image(2, 11, 6, 12, 3, 1);
  g.stride_height = 2;
  g.stride_width = 3;
  Check({.geometry = g});
  g.groups = 3;
  Check({.geometry = g});
  g.dilation_height = g.dilation_width = 2;
  Check({.geometry = g});
  g.groups = 1;
  Check({.geometry = g});
  // Two groups of some size, and one for each channel.
  g = Image(2, 5, 32, 20, 3, 1);
  g.groups = 2;
  Check({.geometry = g});
  g = Image(2, 5, 33, 33, 3, 1);
  g.groups = 33;
  Check({.geometry = g, .has_flips = true});
  // Several chunks of a GPU.
  Check({.geometry = Image(40, 6, 32, 9, 3, 1), .shortcut_shift = 3});
}

TEST_P(ShiftProductTest, Linear) {
  for (const int64_t rows : {1, 2, 5, 97, 200}) {
    for (const int64_t in : {4, 7, 16, 784}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << in);
      const ConvGeometry g = {
          .batch = 1, .height = 1, .width = rows, .channels = in, .filters = 37, .kernel_height = 1, .kernel_width = 1};
      Check({.geometry = g, .is_linear = true});
    }
  }
}

TEST_P(ShiftProductTest, Outputs) {
  const ConvGeometry g = GetParam().slow ? Image(1, 4, 12, 33, 3, 1) : Image(2, 8, 12, 40, 3, 1);
  for (const EncodingKind kind : {EncodingKind::kUnsigned, EncodingKind::kTwosComplement}) {
    for (const int bits : {4, 6, 8}) {
      for (const int shift : {-3, 0, 1, 12, 28}) {
        for (const int shortcut : {kNone, -4, 0, 9}) {
          SCOPED_TRACE(testing::Message() << bits << " bits, shift " << shift << ", shortcut " << shortcut);
          Check({.geometry = g,
                 .x = {kind, bits},
                 .y = {kind, bits},
                 .shift = shift,
                 .shortcut_shift = shortcut,
                 .has_flips = shortcut != 0});
        }
      }
    }
  }
}

TEST_P(ShiftProductTest, SumsBeyondFloats) {
  // 3 * 3 * 400 products of up to 2^15 exceed 2^24, where floats have no odd numbers.
  Check({.geometry = Image(1, 4, 400, 20, 3, 1), .x = {EncodingKind::kUnsigned, 8}, .shift = 18});
}

// More terms than sums of unsigned bytes may have.
TEST_P(ShiftProductTest, LongSums) {
  for (const int64_t in : {1 << 15, (1 << 15) + 1}) {
    const ConvGeometry g = {
        .batch = 1, .height = 1, .width = 3, .channels = in, .filters = 2, .kernel_height = 1, .kernel_width = 1};
    Check({.geometry = g, .is_linear = true, .shift = 20});
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(ShiftProductTest);

TEST(ShiftsTest, RoundsHalvesUp) {
  EXPECT_EQ(ShiftRight(6, 2), 2);
  EXPECT_EQ(ShiftRight(5, 2), 1);
  EXPECT_EQ(ShiftRight(-6, 2), -1);
  EXPECT_EQ(ShiftRight(-7, 2), -2);
  EXPECT_EQ(ShiftRight(-5, 0), -5);
  EXPECT_EQ(ShiftRight(-5, -3), -40);
  EXPECT_EQ(ShiftLeft(-5, 3), -40);
  EXPECT_EQ(ShiftLeft(-6, -2), -1);
}

TEST(ShiftsTest, SumsFit) {
  const Encoding byte = {EncodingKind::kTwosComplement, 8}, unsigned_byte = {EncodingKind::kUnsigned, 8};
  EXPECT_TRUE(ShiftSumsFit(byte, byte, 65536, 0, 0));
  EXPECT_FALSE(ShiftSumsFit(byte, byte, 65537, 0, 0));
  EXPECT_FALSE(ShiftSumsFit(byte, byte, 65536, 1, 0));
  EXPECT_FALSE(ShiftSumsFit(unsigned_byte, byte, 65536, 0, 0));
  EXPECT_TRUE(ShiftSumsFit(byte, byte, 1, 128, 22));
  EXPECT_FALSE(ShiftSumsFit(byte, byte, 1, 128, 23));
}

}  // namespace
}  // namespace bitgrad
