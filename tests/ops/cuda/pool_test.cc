#include <cmath>
#include <cstdint>
#include <ostream>
#include <vector>

#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {

static std::ostream& operator<<(std::ostream& out, const PoolGeometry& g) {
  return out << "x [" << g.batch << ", " << g.height << ", " << g.width << ", " << g.channels << "], kernel "
             << g.kernel_height << " x " << g.kernel_width << ", stride " << g.stride_height << " x " << g.stride_width
             << ", pad " << g.pad_height << " x " << g.pad_width;
}

namespace {

class CudaPoolTest : public CudaTest {
 protected:
  // Windows that are alone, in rows, overlapping, with gaps between them, over the border, as large as the image.
  static std::vector<PoolGeometry> Geometries() {
    std::vector<PoolGeometry> all;
    for (const int64_t channels : {1, 3, 4, 31, 32, 33, 64, 65, 130}) {
      for (PoolGeometry g : {PoolGeometry{2, 6, 8, 0, 2, 2, 2, 2}, PoolGeometry{3, 7, 5, 0, 2, 2, 2, 2},
                             PoolGeometry{1, 9, 7, 0, 3, 3, 2, 2, 1, 1}, PoolGeometry{2, 5, 6, 0, 3, 2, 1, 1, 2, 1},
                             PoolGeometry{1, 11, 4, 0, 1, 2, 3, 2}, PoolGeometry{2, 4, 5, 0, 4, 5},
                             PoolGeometry{1, 2, 3, 0, 5, 5, 1, 2, 3, 2}}) {
        g.channels = channels;
        all.push_back(g);
      }
    }
    return all;
  }

  // Few different values, so that windows have several largest elements; and some NaNs.
  Both<float> ImageValues(TestRandom& random, int64_t count) {
    std::vector<float> values(count);
    for (float& value : values) {
      const uint32_t v = random.Below(12);
      value = v == 11 ? NAN : v == 10 ? -0.0f : (static_cast<float>(v) - 4) / 3;
    }
    return Both<float>(gpu_, std::move(values));
  }
};

TEST_F(CudaPoolTest, Max) {
  TestRandom random(1);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(testing::Message() << g);
    const int64_t inputs = g.batch * g.height * g.width * g.channels, outputs = g.pixels() * g.channels;
    Both<float> x = ImageValues(random, inputs), y(gpu_, outputs), alone(gpu_, outputs);
    Both<float> dy = Uniform(random, outputs), dx(gpu_, inputs);
    Both<uint8_t> argmax(gpu_, outputs);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.max_pool_forward(c, g, x.on(c), y.on(c), argmax.on(c));
      k.max_pool_forward(c, g, x.on(c), alone.on(c), nullptr);
      k.max_pool_backward(c, g, argmax.on(c), dy.on(c), dx.on(c));
    });
    ExpectSame(y);
    ExpectSame(alone);
    ExpectSame(argmax);
    ExpectSame(dx);
  }
}

TEST_F(CudaPoolTest, Average) {
  TestRandom random(2);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(testing::Message() << g);
    const int64_t inputs = g.batch * g.height * g.width * g.channels, outputs = g.pixels() * g.channels;
    Both<float> x = Uniform(random, inputs), y(gpu_, outputs), dy = Uniform(random, outputs), dx(gpu_, inputs);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.average_pool_forward(c, g, x.on(c), y.on(c));
      k.average_pool_backward(c, g, dy.on(c), dx.on(c));
    });
    ExpectSame(y);
    ExpectSame(dx);
  }
}

// Arrays whose first element is not aligned.
TEST_F(CudaPoolTest, TakesAnyAlignment) {
  TestRandom random(3);
  const PoolGeometry g = {.batch = 2, .height = 4, .width = 4, .channels = 8, .kernel_height = 2, .kernel_width = 2};
  const int64_t inputs = g.batch * g.height * g.width * g.channels, outputs = g.pixels() * g.channels;
  Both<float> x = ImageValues(random, inputs + 1), y(gpu_, outputs + 1), dx(gpu_, inputs + 1);
  Both<uint8_t> argmax(gpu_, outputs + 1);
  OnBoth([&](ExecContext& c, const Kernels& k) {
    k.max_pool_forward(c, g, x.on(c) + 1, y.on(c) + 1, argmax.on(c) + 1);
    k.max_pool_backward(c, g, argmax.on(c) + 1, y.on(c) + 1, dx.on(c) + 1);
  });
  ExpectSame(y);
  ExpectSame(argmax);
  ExpectClose(dx, 0);  // NaNs may differ in their bits.
}

TEST_F(CudaPoolTest, Bits) {
  TestRandom random(4);
  for (const PoolGeometry& g : Geometries()) {
    SCOPED_TRACE(testing::Message() << g);
    std::vector<uint8_t> flips(g.channels);
    for (uint8_t& flip : flips) flip = static_cast<uint8_t>(random.Below(2));
    Both<uint8_t> flip(gpu_, std::move(flips));
    BothBits x = Bits(random, g.batch, g.height * g.width * g.channels);
    BothBits y(gpu_, g.batch, g.out_height() * g.out_width() * g.channels);
    BothBits unflipped(gpu_, g.batch, g.out_height() * g.out_width() * g.channels);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.max_pool_bits(c, g, x.on(c), flip.on(c), y.on(c));
      k.max_pool_bits(c, g, x.on(c), nullptr, unflipped.on(c));
    });
    ExpectSame(y);
    ExpectSame(unflipped);
  }
}

TEST_F(CudaPoolTest, PadsImages) {
  TestRandom random(5);
  for (const int64_t channels : {1, 3, 4, 65}) {
    for (const int64_t pad_height : {0, 1, 3}) {
      for (const int64_t pad_width : {0, 2}) {
        const ConvGeometry g = {.batch = 3,
                                .height = 4,
                                .width = 5,
                                .channels = channels,
                                .pad_height = pad_height,
                                .pad_width = pad_width};
        SCOPED_TRACE(testing::Message() << channels << " channels, " << pad_height << " x " << pad_width);
        Both<float> x = Uniform(random, 3 * 4 * 5 * channels);
        Both<float> y(gpu_, 3 * (4 + 2 * pad_height) * (5 + 2 * pad_width) * channels);
        OnBoth([&](ExecContext& c, const Kernels& k) { k.pad_image_f32(c, g, -1.0f, x.on(c), y.on(c)); });
        ExpectSame(y);
      }
    }
  }
}

}  // namespace
}  // namespace bitgrad
