#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/tests/ops/cuda/both.h"
#include "bitgrad/tests/ops/cuda/conv_testing.h"

namespace bitgrad {
namespace {

class CudaConv2dTest : public CudaTest {
 protected:
  struct Arrays {
    Both<float> x, w, dy, y, dx, dw;
  };
  template <typename Values>
  Arrays Run(ConvGeometry g, const Values& values) {
    g.padding = Padding::kZero;
    const int64_t inputs = g.batch * g.height * g.width * g.channels, weights = g.filters * g.patch_size();
    const int64_t outputs = g.pixels() * g.filters;
    Arrays a = {values(inputs),
                values(weights),
                values(outputs),
                Both<float>(gpu_, outputs),
                Both<float>(gpu_, inputs),
                Both<float>(gpu_, weights)};
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.conv2d_f32(c, g, a.x.on(c), a.w.on(c), a.y.on(c));
      k.conv2d_backward_input_f32(c, g, a.dy.on(c), a.w.on(c), a.dx.on(c));
      k.conv2d_backward_weight_f32(c, g, a.x.on(c), a.dy.on(c), a.dw.on(c));
    });
    return a;
  }
};

// Sums of integers below 2^24 are exact, in any order.
TEST_F(CudaConv2dTest, IntegersAreExact) {
  TestRandom random(1);
  for (const ConvGeometry& g : ConvGeometries()) {
    SCOPED_TRACE(testing::Message() << g);
    const Arrays a = Run(g, [&](int64_t count) {
      std::vector<float> values(count);
      for (float& value : values) value = static_cast<float>(random.Below(31)) - 15;
      return Both<float>(gpu_, std::move(values));
    });
    ExpectClose(a.y, 0);
    ExpectClose(a.dx, 0);
    ExpectClose(a.dw, 0);
  }
}

// A sum of n products of numbers up to 2 is rounded n times on either side, which gives an error of at most n * 4n * 2
// kRounding.
TEST_F(CudaConv2dTest, Reals) {
  TestRandom random(2);
  for (const ConvGeometry& g : {ConvGeometries()[4], ConvGeometries()[20], ConvGeometries().back()}) {
    SCOPED_TRACE(testing::Message() << g);
    const Arrays a = Run(g, [&](int64_t count) { return Uniform(random, count); });
    const auto tolerance = [](int64_t terms) { return 8.0 * terms * terms * kRounding; };
    ExpectClose(a.y, 0, tolerance(g.patch_size()));
    ExpectClose(a.dx, 0, tolerance(g.kernel_height * g.kernel_width * g.group_filters()));
    ExpectClose(a.dw, 0, tolerance(g.pixels()));
  }
}

}  // namespace
}  // namespace bitgrad
