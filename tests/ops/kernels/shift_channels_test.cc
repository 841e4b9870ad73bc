#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

class ShiftChannelsKernelTest : public KernelTest {
 protected:
  // Kernels of odd and even size, strides that do not divide the image and ones beyond it; channels around warps.
  static std::vector<ShiftGeometry> Geometries() {
    std::vector<ShiftGeometry> all;
    for (const int64_t kernel : {1, 2, 3, 5}) {
      for (const int64_t stride : {1, 2, 3}) {
        all.push_back({.batch = 2, .height = 5, .width = 7, .channels = 11, .kernel = kernel, .stride = stride});
      }
    }
    all.push_back({.batch = 3, .height = 4, .width = 3, .channels = 33, .kernel = 3});
    all.push_back({.batch = 1, .height = 1, .width = 1, .channels = 64, .kernel = 3});
    all.push_back({.batch = 2, .height = 6, .width = 5, .channels = 9, .kernel = 3, .stride = int64_t{1} << 19});
    all.push_back({.batch = 40, .height = 8, .width = 8, .channels = 1, .kernel = 3, .stride = 2});
    return all;
  }
};

TEST_P(ShiftChannelsKernelTest, MovesEachChannelByItsTap) {
  Random random(1);
  for (const ShiftGeometry& g : Geometries()) {
    SCOPED_TRACE(testing::Message() << "[" << g.batch << ", " << g.height << ", " << g.width << ", " << g.channels
                                    << "], kernel " << g.kernel << ", stride " << g.stride);
    const int64_t in = g.batch * g.height * g.width * g.channels;
    const int64_t out = g.batch * g.out_height() * g.out_width() * g.channels;
    // Runs of channels that move alike, and single ones.
    std::vector<uint8_t> taps = RandomBytes(random, g.channels, static_cast<uint32_t>(g.kernel * g.kernel));
    for (int64_t c = 1; c < g.channels; ++c) {
      if (random.Below(2) == 0) taps[c] = taps[c - 1];
    }
    const Array<uint8_t> of_channels(*this, taps);
    const Array<float> x(*this, RandomVector(random, in)), dy(*this, RandomVector(random, out));
    const Array<float> y(*this, out), dx(*this, in);
    Run([&](ExecContext& c, const Kernels& k) {
      k.shift_channels_forward(c, g, of_channels.on(c), x.on(c), y.on(c));
      k.shift_channels_backward(c, g, of_channels.on(c), dy.on(c), dx.on(c));
    });
    std::vector<float> values, gradient(static_cast<size_t>(in), 0.0f);
    for (int64_t n = 0; n < g.batch; ++n) {
      for (int64_t p = 0; p < g.out_height(); ++p) {
        for (int64_t q = 0; q < g.out_width(); ++q) {
          for (int64_t c = 0; c < g.channels; ++c) {
            const int64_t r = p * g.stride + taps[c] / g.kernel - g.kernel / 2;
            const int64_t s = q * g.stride + taps[c] % g.kernel - g.kernel / 2;
            const bool inside = r >= 0 && r < g.height && s >= 0 && s < g.width;
            const int64_t from = ((n * g.height + r) * g.width + s) * g.channels + c;
            const int64_t to = static_cast<int64_t>(values.size());
            values.push_back(inside ? x.initial(from) : 0.0f);
            if (inside) gradient[from] = dy.initial(to);
          }
        }
      }
    }
    ExpectValues(y, [&](int64_t i) { return values[i]; });
    ExpectValues(dx, [&](int64_t i) { return gradient[i]; });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(ShiftChannelsKernelTest);

}  // namespace
}  // namespace bitgrad
