// coded_conv2d against the convolution of the codes, computed tap by tap: exact for every encoding.

#include <cstdint>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/tests/ops/kernels/code_array.h"
#include "bitgrad/tests/ops/kernels/conv_geometries.h"
#include "bitgrad/tests/ops/kernels/dot_outputs.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/conv2d.h"

namespace bitgrad {
namespace {

constexpr Encoding kBinary{EncodingKind::kBinary, 1};
constexpr Encoding kTernary{EncodingKind::kTernary, 2};
constexpr Encoding Symmetric(int bits) { return {EncodingKind::kSymmetric, bits}; }
constexpr Encoding Unsigned(int bits) { return {EncodingKind::kUnsigned, bits}; }
constexpr Encoding TwosComplement(int bits) { return {EncodingKind::kTwosComplement, bits}; }
constexpr Encoding Log(int bits) { return {EncodingKind::kLog, bits}; }
constexpr Encoding LogNonzero(int bits) { return {EncodingKind::kLogNonzero, bits}; }

// Encodings of images and filters, which take turns: 1 to 64 passes over planes, all forms, and weights of 8 bits.
constexpr std::pair<Encoding, Encoding> kEncodings[] = {
    {Symmetric(8), kBinary},
    {kTernary, kTernary},
    {kTernary, kBinary},
    {kBinary, kTernary},
    {Unsigned(2), Symmetric(3)},
    {kBinary, kBinary},
    {Unsigned(4), Symmetric(8)},
    {Symmetric(2), Unsigned(2)},
    {Symmetric(5), Unsigned(1)},
    {kBinary, Symmetric(7)},
    {Unsigned(8), Symmetric(8)},
    {Unsigned(2), TwosComplement(2)},
    {TwosComplement(4), TwosComplement(4)},
    {Symmetric(2), Symmetric(2)},
    {TwosComplement(2), kTernary},
    {TwosComplement(2), kBinary},
    {TwosComplement(8), kBinary},
    {Unsigned(4), TwosComplement(8)},
    {Unsigned(4), Log(3)},
    {kBinary, Log(4)},
    {Symmetric(4), Log(4)},
    {Symmetric(2), Log(5)},
    {Log(4), kBinary},
    {Log(4), kTernary},
    {Log(4), Log(4)},
    {Log(5), Symmetric(2)},
    {Log(3), TwosComplement(8)},
    {LogNonzero(4), kTernary},
    {LogNonzero(3), LogNonzero(2)},
    {LogNonzero(2), Symmetric(3)},
    {Unsigned(2), LogNonzero(4)},
};

class CodedConv2dTest : public KernelTest {
 protected:
  void ExpectExact(uint64_t seed, const ConvGeometry& g, std::pair<Encoding, Encoding> encodings) {
    if (!DotIsExact(encodings.first, encodings.second, g.patch_size())) encodings = {Symmetric(3), kTernary};
    const auto& [x_encoding, w_encoding] = encodings;
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", " << g << ", " << Name(x_encoding.kind) << x_encoding.bits
                                    << " x " << Name(w_encoding.kind) << w_encoding.bits);
    Random random(seed);
    const bool extreme = random.Below(2) == 0;
    const CodeArray x(*this, random, x_encoding, g.batch, g.height * g.width * g.channels, seed % 2 * 3, extreme);
    const CodeArray w(*this, random, w_encoding, g.filters, g.patch_size(), 0, extreme);
    // Zero, or the magnitude of the largest code with either sign, whether that is a code or not.
    const int32_t largest = static_cast<int32_t>(x_encoding.max_code());
    const int32_t padding = g.padding == Padding::kZero ? 0 : g.padding == Padding::kPlusOne ? largest : -largest;
    // Computed once for all places, because the reference is slow.
    static std::map<uint64_t, std::vector<int32_t>> all_dots;
    std::vector<int32_t>& dots = all_dots[seed];
    if (dots.empty()) dots = reference::Conv2d(g, x.Codes(), w.Codes(), padding);
    ExpectDotOutputs(
        *this, random, g.pixels(), g.filters, g.batch, dots, [&](const auto& f) { Run(f); },
        [&](ExecContext& c, const Kernels& k, const DotOutput& out) {
          k.coded_conv2d(c, g, x.bytes(c), w.planes(c), padding, out);
        });
  }
};

TEST_P(CodedConv2dTest, EveryGeometryIsExact) {
  uint64_t seed = 0;
  for (const ConvGeometry& g : ConvGeometries(GetParam().slow ? 3'000'000 : INT64_MAX)) {
    ExpectExact(seed, g, kEncodings[seed % std::size(kEncodings)]);
    if (HasFailure()) return;
    ++seed;
  }
}

TEST_P(CodedConv2dTest, EachPairOfEncodingsWithEachBorder) {
  uint64_t seed = 1000;
  for (const auto& encodings : kEncodings) {
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
      ExpectExact(seed++, g, encodings);
      if (HasFailure()) return;
    }
  }
}

// Kernels of 3 x 3 with whole steps of channels, which the CPU computes by Winograd's algorithm: every border, odd and
// even extents, several chunks, groups of filters that are not full, and every encoding around the largest that fits.
TEST_P(CodedConv2dTest, KernelsOfThreeByThree) {
  constexpr std::pair<Encoding, Encoding> kPairs[] = {
      {Unsigned(4), TwosComplement(4)}, {Symmetric(4), Symmetric(4)}, {Unsigned(5), Symmetric(4)},
      {TwosComplement(5), Unsigned(4)}, {Unsigned(4), Symmetric(3)},  {Unsigned(3), kTernary},
      {Symmetric(6), Symmetric(3)},     {Unsigned(4), Symmetric(5)},  {TwosComplement(3), TwosComplement(2)},
  };
  constexpr Padding kPaddings[] = {Padding::kZero, Padding::kPlusOne, Padding::kMinusOne};
  uint64_t seed = 2000;
  for (const auto& encodings : kPairs) {
    for (const int64_t channels : {32, 64, 96, 160}) {
      const int64_t turn = static_cast<int64_t>(seed);
      ConvGeometry g = {.batch = 1 + turn % 3,
                        .height = 3 + turn % 4,
                        .width = 3 + turn % 5,
                        .channels = channels,
                        .filters = turn % 3 == 0   ? 16
                                   : turn % 3 == 1 ? 64
                                                   : 70,
                        .kernel_height = 3,
                        .kernel_width = 3,
                        .pad_height = turn % 3,
                        .pad_width = turn / 3 % 3,
                        .padding = kPaddings[turn / 2 % 3]};
      if (g.out_height() < 1 || g.out_width() < 1) g.pad_height = g.pad_width = 1;
      ExpectExact(seed++, g, encodings);
      if (HasFailure()) return;
    }
  }
  // More tiles than a chunk has.
  ExpectExact(seed++,
              {.batch = 3,
               .height = 13,
               .width = 11,
               .channels = 512,
               .filters = GetParam().slow ? 16 : 66,
               .kernel_height = 3,
               .kernel_width = 3,
               .pad_height = 1,
               .pad_width = 1},
              {Unsigned(4), TwosComplement(4)});
}

// The largest sums: counters that are narrower than the result must be emptied in time. Around the longest K of the
// CPU's lookup of triples.
TEST_P(CodedConv2dTest, LargestCodesOfLongSums) {
  constexpr int64_t kFilters = 65;
  for (const int64_t channels : {27, 30, 64, 1000, 7232, 7233, 7296}) {
    for (const int bits : {2, 4}) {
      SCOPED_TRACE(testing::Message() << channels << " channels, " << bits << " bits");
      const uint8_t largest = static_cast<uint8_t>((1 << bits) - 1);
      const ConvGeometry g = {.batch = 1,
                              .height = 1,
                              .width = 4,
                              .channels = channels,
                              .filters = kFilters,
                              .kernel_height = 1,
                              .kernel_width = 1};
      const CodeArray x(*this, Unsigned(bits), 1, 4 * channels, 4 * channels,
                        std::vector<uint8_t>(4 * channels, largest));
      const CodeArray w(*this, Unsigned(bits), kFilters, channels, channels,
                        std::vector<uint8_t>(kFilters * channels, largest));
      const Array<float> y(*this, 4 * kFilters);
      Run([&](ExecContext& c, const Kernels& k) {
        k.coded_conv2d(c, g, x.bytes(c), w.planes(c), 0, {.floats = y.matrix(c, 4, kFilters, kFilters)});
      });
      ExpectValues(y, [&](int64_t) { return static_cast<float>(channels * largest * largest); });
    }
  }
}

// Sums of logarithmic codes that are beyond 2^24, as floats.
TEST_P(CodedConv2dTest, LogarithmicCodesWithLargeSums) {
  Random random(3);
  constexpr struct {
    Encoding x, w;
    int64_t channels, kernel;
  } kCases[] = {{Symmetric(8), Log(5), 7, 3},        {Unsigned(8), Log(5), 7, 3},
                {Log(5), LogNonzero(4), 7, 3},       {Log(5), Symmetric(8), 7, 3},
                {LogNonzero(5), Symmetric(5), 7, 3}, {LogNonzero(4), LogNonzero(5), 7, 3}};
  for (const auto& [x_encoding, w_encoding, channels, kernel] : kCases) {
    SCOPED_TRACE(testing::Message() << Name(x_encoding.kind) << x_encoding.bits << " x " << Name(w_encoding.kind)
                                    << w_encoding.bits);
    const ConvGeometry g = {.batch = 2,
                            .height = 4,
                            .width = 5,
                            .channels = channels,
                            .filters = 66,
                            .kernel_height = kernel,
                            .kernel_width = kernel,
                            .pad_height = 1,
                            .pad_width = 1};
    const CodeArray x(*this, random, x_encoding, g.batch, g.height * g.width * g.channels, 0, true);
    const CodeArray w(*this, random, w_encoding, g.filters, g.patch_size(), 0, true);
    ASSERT_FALSE(DotIsExact(x_encoding, w_encoding, g.patch_size()));
    ASSERT_EQ(LogSumsOf(x_encoding, w_encoding, g.patch_size()), LogSums::kInt32);
    const std::vector<int32_t> dots = reference::Conv2d(g, x.Codes(), w.Codes(), 0);
    const Array<float> y(*this, g.pixels() * g.filters);
    Run([&](ExecContext& c, const Kernels& k) {
      k.coded_conv2d(c, g, x.bytes(c), w.planes(c), 0, {.floats = y.matrix(c, g.pixels(), g.filters, g.filters)});
    });
    ExpectValues(y, [&](int64_t i) { return static_cast<float>(dots[i]); });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(CodedConv2dTest);

}  // namespace
}  // namespace bitgrad
