#include <cstdint>
#include <vector>

#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/tests/ops/cuda/both.h"
#include "bitgrad/tests/ops/cuda/conv_testing.h"

namespace bitgrad {
namespace {

using CudaPackedConv2dTest = CudaTest;

TEST_F(CudaPackedConv2dTest, FloatsAndBits) {
  TestRandom random(1);
  for (const ConvGeometry& g : ConvGeometries()) {
    SCOPED_TRACE(testing::Message() << g);
    BothBits x = Bits(random, g.batch, g.height * g.width * g.channels), w = Bits(random, g.filters, g.patch_size());
    const int64_t gap = 3;
    Both<float> y(gpu_, g.pixels() * (g.filters + gap)), unscaled(gpu_, g.pixels() * (g.filters + gap));
    BothBits bits(gpu_, g.batch, g.out_height() * g.out_width() * g.filters);
    // Thresholds near 0, so that some of them equal some sums.
    std::vector<int32_t> thresholds(g.filters);
    std::vector<uint8_t> flips(g.filters);
    for (int32_t& threshold : thresholds) threshold = static_cast<int32_t>(random.Below(9)) - 4;
    for (uint8_t& flip : flips) flip = static_cast<uint8_t>(random.Below(2));
    Both<int32_t> threshold(gpu_, std::move(thresholds));
    Both<uint8_t> flip(gpu_, std::move(flips));
    OnBoth([&](ExecContext& c, const Kernels& k) {
      const auto view = [&](Both<float>& array) { return array.matrix(c, g.pixels(), g.filters, g.filters + gap); };
      k.packed_conv2d(c, g, x.on(c), w.on(c), {.floats = view(y), .scale = 0.3f});
      k.packed_conv2d(c, g, x.on(c), w.on(c), {.floats = view(unscaled)});
      k.packed_conv2d(c, g, x.on(c), w.on(c), {.bits = bits.on(c), .threshold = threshold.on(c), .flip = flip.on(c)});
    });
    ExpectSame(y);
    ExpectSame(unscaled);
    ExpectSame(bits);
  }
}

}  // namespace
}  // namespace bitgrad
