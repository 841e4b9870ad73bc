// packed_conv2d against the convolution of the same numbers, computed tap by tap: exact.

#include <cstdint>
#include <map>
#include <vector>

#include "bitgrad/tests/ops/kernels/conv_geometries.h"
#include "bitgrad/tests/ops/kernels/dot_outputs.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/conv2d.h"

namespace bitgrad {
namespace {

// -1 and +1 in the order of the rows.
std::vector<int32_t> Signs(const BitArray& bits) {
  std::vector<int32_t> signs;
  for (int64_t i = 0; i < bits.rows(); ++i) {
    for (int64_t j = 0; j < bits.cols(); ++j) signs.push_back(bits.initial(i, j) ? 1 : -1);
  }
  return signs;
}

int32_t PaddingValue(Padding padding) { return padding == Padding::kZero ? 0 : padding == Padding::kPlusOne ? 1 : -1; }

using PackedConv2dTest = KernelTest;

TEST_P(PackedConv2dTest, EveryGeometryIsExact) {
  // Computed once for all places, because the reference is slow.
  static std::map<uint64_t, std::vector<int32_t>> all_dots;
  uint64_t seed = 0;
  for (const ConvGeometry& g : ConvGeometries(GetParam().slow ? 3'000'000 : INT64_MAX)) {
    SCOPED_TRACE(testing::Message() << g);
    Random random(++seed);
    const BitArray x = BitArray::OfRandomBits(*this, random, g.batch, g.height * g.width * g.channels);
    const BitArray w = BitArray::OfRandomBits(*this, random, g.filters, g.patch_size());
    std::vector<int32_t>& dots = all_dots[seed];
    if (dots.empty()) dots = reference::Conv2d(g, Signs(x), Signs(w), PaddingValue(g.padding));
    ExpectDotOutputs(
        *this, random, g.pixels(), g.filters, g.batch, dots, [&](const auto& f) { Run(f); },
        [&](ExecContext& c, const Kernels& k, const DotOutput& out) { k.packed_conv2d(c, g, x.on(c), w.on(c), out); });
    if (HasFailure()) return;
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(PackedConv2dTest);

}  // namespace
}  // namespace bitgrad
