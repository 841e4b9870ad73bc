// The products of fixed-point codes against the formula of ops/kernels/shift_product.h, in 64 bits.

#include "bitgrad/ops/kernels/shift_product.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "bitgrad/ops/cpu/shift_product_cpu.h"
#include "gtest/gtest.h"
#include "hwy/highway.h"

namespace bitgrad {
namespace {

struct Case {
  ConvGeometry geometry;
  bool is_linear = false;
  Encoding x = {EncodingKind::kTwosComplement, 8};
  Encoding y = {EncodingKind::kTwosComplement, 8};
  int shift = 9;
  int shortcut_shift = 100;  // 100: there is none
  bool has_flips = false;
};

int64_t RoundHalfUp(double v) { return static_cast<int64_t>(std::floor(v + 0.5)); }

void CheckOnTarget(const Case& c, int threads) {
  std::mt19937 random(7);
  const ConvGeometry& g = c.geometry;
  const int64_t k = g.patch_size(), pixels = g.pixels(), n = g.filters;
  std::vector<int8_t> w(static_cast<size_t>(n * k));
  for (int8_t& v : w) v = static_cast<int8_t>(static_cast<int>(random() % 256) - 128);
  std::vector<uint8_t> x(static_cast<size_t>(g.batch * g.height * g.width * g.channels));
  for (uint8_t& v : x) v = static_cast<uint8_t>(random() % (c.x.largest_stored() + 1));
  std::vector<int32_t> bias(static_cast<size_t>(n));
  for (int32_t& v : bias) v = static_cast<int32_t>(random() % 200001) - 100000;
  std::vector<uint8_t> flips;
  for (int64_t o = 0; c.has_flips && o < n; ++o) flips.push_back(random() % 2);
  std::vector<uint8_t> shortcut(static_cast<size_t>(pixels * n));
  for (uint8_t& v : shortcut) v = static_cast<uint8_t>(random() % 256);
  const int levels = static_cast<int>(c.y.largest_stored());
  const auto x_least = static_cast<int32_t>(c.x.least_code()), y_least = static_cast<int32_t>(c.y.least_code());
  const ConstMatrixView<int8_t> weights(w.data(), n, k);
  const ShiftFilters filters = c.is_linear ? ShiftFilters(weights, x_least, bias, flips, levels)
                                           : ShiftFilters(g, weights, x_least, bias, flips, levels);
  std::vector<uint8_t> codes(static_cast<size_t>(pixels * n), 77);
  std::vector<int32_t> sums(codes.size());
  std::vector<float> floats(codes.size());
  ShiftOutput out = {
      .scale = 0.25f, .shift = c.shift, .least = y_least, .most = static_cast<int32_t>(c.y.code(levels))};
  if (c.shortcut_shift != 100) {
    out.shortcut = shortcut.data();
    out.shortcut_least = -128;
    out.shortcut_shift = c.shortcut_shift;
  }
  ExecContext context({.threads = threads});
  for (int form = 0; form < 3; ++form) {
    ShiftOutput to = out;
    if (form == 0) to.codes = {codes.data(), pixels, n};
    if (form == 1) to.floats = {floats.data(), pixels, n};
    if (form == 2) to.sums = {sums.data(), pixels, n};
    cpu::ShiftProduct(context, filters, c.is_linear ? pixels : g.batch, x.data(), to);
  }
  const int64_t groups_channels = g.group_channels();
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    const int64_t image = pixel / (g.out_height() * g.out_width()), p = pixel / g.out_width() % g.out_height(),
                  q = pixel % g.out_width();
    for (int64_t o = 0; o < n; ++o) {
      int64_t sum = bias[o];
      for (int64_t i = 0; i < k; ++i) {
        const int64_t r = i / (g.kernel_width * groups_channels), s = i / groups_channels % g.kernel_width;
        const int64_t channel = o / g.group_filters() * groups_channels + i % groups_channels;
        const int64_t h = p * g.stride_height + r * g.dilation_height - g.pad_height;
        const int64_t v = q * g.stride_width + s * g.dilation_width - g.pad_width;
        if (h < 0 || h >= g.height || v < 0 || v >= g.width) continue;
        sum += (x_least + x[((image * g.height + h) * g.width + v) * g.channels + channel]) * w[o * k + i];
      }
      if (out.shortcut != nullptr) sum += RoundHalfUp(std::ldexp(shortcut[pixel * n + o] - 128, c.shortcut_shift));
      const int64_t code =
          std::clamp<int64_t>(RoundHalfUp(std::ldexp(static_cast<double>(sum), -c.shift)), out.least, out.most) -
          y_least;
      const int64_t expected = c.has_flips && flips[o] ? levels - code : code;
      ASSERT_EQ(sums[pixel * n + o], sum) << "pixel " << pixel << " filter " << o;
      ASSERT_EQ(floats[pixel * n + o], static_cast<float>(sum) * 0.25f);
      ASSERT_EQ(codes[pixel * n + o], expected) << "pixel " << pixel << " filter " << o << " sum " << sum;
    }
  }
}

// On every instruction set that was compiled and that this machine has.
void Check(const Case& c, int threads) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    CheckOnTarget(c, threads);
    hwy::SetSupportedTargetsForTest(0);
  }
}

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

TEST(ShiftProduct, ConvolutionsOfAllWidths) {
  // Filters of fewer and more than a vector and a panel; output rows that are no multiple of a tile.
  for (const int64_t filters : {1, 10, 16, 32, 33, 50, 64, 100, 128}) {
    for (const int64_t size : {3, 7, 8, 15}) Check({.geometry = Image(2, size, 5, filters, 3, 1)}, 1);
  }
}

TEST(ShiftProduct, Geometries) {
  Check({.geometry = Image(3, 9, 3, 20, 5, 2)}, 2);
  Check({.geometry = Image(3, 9, 8, 20, 1, 0)}, 2);
  ConvGeometry g = Image(2, 11, 6, 12, 3, 1);
  g.stride_height = 2;
  g.stride_width = 3;
  Check({.geometry = g}, 1);
  g.groups = 3;
  Check({.geometry = g}, 1);
  g.dilation_height = g.dilation_width = 2;
  Check({.geometry = g}, 1);
  g.groups = 1;
  Check({.geometry = g}, 1);
}

TEST(ShiftProduct, Linear) {
  for (const int64_t rows : {1, 2, 5, 97, 200}) {
    for (const int64_t in : {4, 7, 784}) {
      const ConvGeometry g = {
          .batch = 1, .height = 1, .width = rows, .channels = in, .filters = 37, .kernel_height = 1, .kernel_width = 1};
      Check({.geometry = g, .is_linear = true}, 2);
    }
  }
}

TEST(ShiftProduct, Outputs) {
  const ConvGeometry g = Image(2, 8, 12, 40, 3, 1);
  for (const EncodingKind kind : {EncodingKind::kUnsigned, EncodingKind::kTwosComplement}) {
    for (const int bits : {4, 6, 8}) {
      for (const int shift : {-3, 0, 1, 12, 28}) {
        for (const int shortcut : {100, -4, 0, 9}) {
          Check({.geometry = g,
                 .x = {kind, bits},
                 .y = {kind, bits},
                 .shift = shift,
                 .shortcut_shift = shortcut,
                 .has_flips = shortcut != 0},
                1);
        }
      }
    }
  }
}

TEST(ShiftProduct, SumsBeyondFloats) {
  // 3 * 3 * 400 products of up to 2^15 exceed 2^24, where floats have no odd numbers.
  Check({.geometry = Image(1, 4, 400, 20, 3, 1), .x = {EncodingKind::kUnsigned, 8}, .shift = 18}, 1);
}

TEST(ShiftProduct, RoundsHalvesUp) {
  EXPECT_EQ(ShiftRight(6, 2), 2);
  EXPECT_EQ(ShiftRight(5, 2), 1);
  EXPECT_EQ(ShiftRight(-6, 2), -1);
  EXPECT_EQ(ShiftRight(-7, 2), -2);
  EXPECT_EQ(ShiftRight(-5, 0), -5);
  EXPECT_EQ(ShiftRight(-5, -3), -40);
  EXPECT_EQ(ShiftLeft(-5, 3), -40);
  EXPECT_EQ(ShiftLeft(-6, -2), -1);
}

TEST(ShiftProduct, SumsFit) {
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
