#include <cstdint>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/tests/ops/cuda/both.h"
#include "bitgrad/tests/ops/cuda/conv_testing.h"

namespace bitgrad {
namespace {

using CudaCodedConv2dTest = CudaTest;

// Encodings of images and filters, which take turns; the border is zero, or as far from zero as it may be.
struct Encodings {
  Encoding x, w;
};
constexpr Encodings kEncodings[] = {{{EncodingKind::kSymmetric, 8}, {EncodingKind::kBinary, 1}},
                                    {{EncodingKind::kUnsigned, 2}, {EncodingKind::kTernary, 2}},
                                    {{EncodingKind::kTernary, 2}, {EncodingKind::kSymmetric, 3}},
                                    {{EncodingKind::kBinary, 1}, {EncodingKind::kUnsigned, 4}},
                                    {{EncodingKind::kSymmetric, 2}, {EncodingKind::kSymmetric, 2}}};

TEST_F(CudaCodedConv2dTest, FloatsAndBits) {
  TestRandom random(1);
  int turn = 0;
  for (const ConvGeometry& g : ConvGeometries()) {
    const auto& [x_encoding, w_encoding] = kEncodings[turn % 5];
    const int32_t most = static_cast<int32_t>(x_encoding.max_code());
    const int32_t padding_code = g.padding == Padding::kZero ? 0 : g.padding == Padding::kPlusOne ? most : -most;
    ++turn;
    SCOPED_TRACE(testing::Message() << g << ", " << Name(x_encoding.kind) << " of " << x_encoding.bits << " bits and "
                                    << Name(w_encoding.kind) << " of " << w_encoding.bits);
    const auto stored = [&](const Encoding& encoding) {
      return random.Below((encoding.max_code() - encoding.least_code()) / encoding.code_step() + 1);
    };
    const int64_t row = g.height * g.width * g.channels;
    std::vector<uint8_t> codes(g.batch * row);
    for (uint8_t& code : codes) code = static_cast<uint8_t>(stored(x_encoding));
    const int64_t words = BitMatrix::WordsPerRow(g.patch_size());
    std::vector<std::vector<uint64_t>> planes(w_encoding.bits, std::vector<uint64_t>(g.filters * words, 0));
    for (int64_t o = 0; o < g.filters; ++o) {
      for (int64_t k = 0; k < g.patch_size(); ++k) {
        const uint32_t code = stored(w_encoding);
        for (int q = 0; q < w_encoding.bits; ++q) planes[q][o * words + k / 64] |= uint64_t{code >> q & 1} << k % 64;
      }
    }
    std::vector<Both<uint64_t>> w;
    for (const std::vector<uint64_t>& plane : planes) w.emplace_back(gpu_, plane);
    Both<uint8_t> x(gpu_, std::move(codes));
    Both<float> y(gpu_, g.pixels() * g.filters), unscaled(gpu_, g.pixels() * g.filters);
    BothBits bits(gpu_, g.batch, g.out_height() * g.out_width() * g.filters);
    std::vector<int32_t> thresholds(g.filters);
    std::vector<uint8_t> flips(g.filters);
    for (int32_t& threshold : thresholds) threshold = static_cast<int32_t>(random.Below(9)) - 4;
    for (uint8_t& flip : flips) flip = static_cast<uint8_t>(random.Below(2));
    Both<int32_t> threshold(gpu_, std::move(thresholds));
    Both<uint8_t> flip(gpu_, std::move(flips));
    OnBoth([&, x_encoding = x_encoding, w_encoding = w_encoding](ExecContext& c, const Kernels& k) {
      const ConstCodesView images = {x_encoding, x.matrix(c, g.batch, row)};
      ConstPlanesView filters = {w_encoding, {}};
      for (int q = 0; q < w_encoding.bits; ++q) filters.planes[q] = {w[q].on(c), g.filters, g.patch_size(), words};
      k.coded_conv2d(c, g, images, filters, padding_code,
                     {.floats = y.matrix(c, g.pixels(), g.filters), .scale = 0.3f});
      k.coded_conv2d(c, g, images, filters, padding_code, {.floats = unscaled.matrix(c, g.pixels(), g.filters)});
      k.coded_conv2d(c, g, images, filters, padding_code,
                     {.bits = bits.on(c), .threshold = threshold.on(c), .flip = flip.on(c)});
    });
    ExpectSame(y);
    ExpectSame(unscaled);
    ExpectSame(bits);
  }
}

}  // namespace
}  // namespace bitgrad
