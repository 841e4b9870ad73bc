#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using CudaLookUpTest = CudaTest;

// All counts, with arrays that are aligned and that are not.
TEST_F(CudaLookUpTest, LooksUp) {
  TestRandom random(1);
  const auto bytes = [&](int64_t count) {
    std::vector<uint8_t> values(count);
    for (uint8_t& value : values) value = static_cast<uint8_t>(random.Below(256));
    return Both<uint8_t>(gpu_, std::move(values));
  };
  Both<float> floats = Uniform(random, 256);
  Both<uint8_t> codes = bytes(256);
  // The last count is more than the threads of all blocks write at a time (ops/cuda/launch.h).
  for (const int64_t n : {0, 1, 3, 4, 5, 15, 16, 17, 63, 1000, 4099, 132 * 16 * 256 * 4 + 5}) {
    for (const int64_t offset : {0, 1, 4}) {
      if (n > 10000 && offset != 0) continue;
      SCOPED_TRACE(testing::Message() << n << " from " << offset);
      Both<uint8_t> x = bytes(n + offset), to_bytes(gpu_, n + 4);
      Both<float> to_floats(gpu_, n + 4);
      OnBoth([&](ExecContext& c, const Kernels& k) {
        k.look_up_f32(c, floats.on(c), x.on(c) + offset, to_floats.on(c) + offset, n);
        k.look_up_u8(c, codes.on(c), x.on(c) + offset, to_bytes.on(c) + offset, n);
      });
      ExpectSame(to_floats);
      ExpectSame(to_bytes);
    }
  }
}

}  // namespace
}  // namespace bitgrad
