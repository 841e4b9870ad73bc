#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

using LookUpTest = KernelTest;

// All counts, from places in memory that are aligned and that are not.
TEST_P(LookUpTest, GivesTheTablesEntries) {
  Random random(1);
  const Array<float> floats(*this, RandomVector(random, 256));
  const Array<uint8_t> codes(*this, RandomBytes(random, 256));
  std::vector<int64_t> counts = Counts();
  counts.push_back(132 * 16 * 256 * 4 + 5);  // more than the threads of all blocks write at a time (ops/cuda/launch.h)
  for (const int64_t n : counts) {
    for (const int64_t offset : {0, 1, 4}) {
      if (n > 50000 && offset != 0) continue;
      SCOPED_TRACE(testing::Message() << n << " from " << offset);
      const Array<uint8_t> x(*this, RandomBytes(random, n + offset)), to_codes(*this, offset + n + 4);
      const Array<float> to_floats(*this, offset + n + 4);
      Run([&](ExecContext& c, const Kernels& k) {
        k.look_up_f32(c, floats.on(c), x.on(c) + offset, to_floats.on(c) + offset, n);
        k.look_up_u8(c, codes.on(c), x.on(c) + offset, to_codes.on(c) + offset, n);
      });
      const auto inside = [&](int64_t i) { return i >= offset && i < offset + n; };
      ExpectValues(to_floats,
                   [&](int64_t i) { return inside(i) ? floats.initial(x.initial(i)) : to_floats.initial(i); });
      ExpectValues(to_codes, [&](int64_t i) { return inside(i) ? codes.initial(x.initial(i)) : to_codes.initial(i); });
    }
  }
}

// A table for each channel.
TEST_P(LookUpTest, OfChannels) {
  Random random(2);
  for (const auto& [rows, channels] : Shapes()) {
    if (channels > 129) continue;
    SCOPED_TRACE(testing::Message() << rows << " x " << channels);
    const int64_t n = rows * channels;
    const Array<uint8_t> tables(*this, RandomBytes(random, channels * 256)), x(*this, RandomBytes(random, n));
    const Array<uint8_t> y(*this, n + 3);
    Run([&, rows = rows, channels = channels](ExecContext& c, const Kernels& k) {
      k.look_up_channels(c, tables.on(c), x.on(c), y.on(c), rows, channels);
    });
    ExpectValues(y, n,
                 [&, channels = channels](int64_t i) { return tables.initial(i % channels * 256 + x.initial(i)); });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(LookUpTest);

}  // namespace
}  // namespace bitgrad
