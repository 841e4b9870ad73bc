// What every kernel with a DotOutput is tested for: floats with each kind of scale, threshold bits, and codes.

#ifndef BITGRAD_TESTS_OPS_KERNELS_DOT_OUTPUTS_H_
#define BITGRAD_TESTS_OPS_KERNELS_DOT_OUTPUTS_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "bitgrad/core/scale_view.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {

// Expects what DotOutput says of the sums dots [m, n] in each kind of output that `run` and `multiply` make:
// run(f) calls f(context, kernels) in each context, multiply(context, kernels, out) computes the product into `out`.
// Bits are [images, m / images * n]: for a matrix product, whose rows are rows of bits, images = m.
//
// The kind of scale, the number of levels and their distance in memory are drawn for each call.
template <typename Run, typename Multiply>
void ExpectDotOutputs(const KernelTest& test, Random& random, int64_t m, int64_t n, int64_t images,
                      const std::vector<int32_t>& dots, const Run& run, const Multiply& multiply) {
  // A value that occurs in column j, so that the case of equality is tested; or a limit of int32.
  const auto threshold_of = [&](int64_t j) {
    switch (random.Below(8)) {
      case 0: return std::numeric_limits<int32_t>::min();
      case 1: return std::numeric_limits<int32_t>::max();
      case 2: return static_cast<int32_t>(random.Below(41)) - 20;
      default: return m > 0 ? dots[random.Below(static_cast<uint32_t>(m)) * n + j] : 0;
    }
  };
  const auto flip_of = [](const Array<uint8_t>& flips, int64_t j) { return flips.initial(j) != 0; };

  // The scale is a number of the host, one on the device, one per output, or every second number on the device.
  const uint32_t kind = random.Below(4);
  const int64_t stride = kind < 2 ? 0 : kind - 1;
  const float factor = random.Below(2) == 0 ? 0.37f : 1.0f;
  const Array<float> values(test, RandomVector(random, std::max<int64_t>(1, n * stride), -2, 2));
  const auto scale_on = [&](const ExecContext& x) {
    return kind == 0 ? ScaleView(factor) : ScaleView(factor, values.on(x), stride);
  };
  const ScaleView scale = kind == 0 ? ScaleView(factor) : ScaleView(factor, values.initial().data(), stride);

  std::vector<int32_t> threshold(n);
  for (int64_t j = 0; j < n; ++j) threshold[j] = threshold_of(j);
  const Array<int32_t> thresholds(test, threshold);
  const Array<uint8_t> flips(test, RandomBytes(random, n, 2));

  constexpr int kLevels[] = {1, 2, 3, 7, 15, 100, kMaxLevels};
  const int levels = kLevels[random.Below(m * n < 5000 ? 7 : 5)];
  const int64_t level_gap = random.Below(2) == 0 ? 0 : 3;
  std::vector<int32_t> level_values(levels * (n + level_gap), 0);
  for (int64_t j = 0; j < n; ++j) {
    std::vector<int32_t> ascending(levels);
    for (int32_t& value : ascending) value = threshold_of(j);
    std::sort(ascending.begin(), ascending.end());
    for (int l = 0; l < levels; ++l) level_values[l * (n + level_gap) + j] = ascending[l];
  }
  const Array<int32_t> level_thresholds(test, level_values);

  SCOPED_TRACE(testing::Message() << "kind of scale " << kind << ", " << levels << " levels");
  const Array<float> floats(test, m * (n + 3));
  const BitArray bits(test, images, images == 0 ? 0 : m / images * n);
  const Array<uint8_t> codes(test, m * (n + level_gap));
  run([&](ExecContext& x, const Kernels& kernels) {
    multiply(x, kernels, DotOutput{.floats = floats.matrix(x, m, n, n + 3), .scale = scale_on(x)});
    multiply(x, kernels, DotOutput{.bits = bits.on(x), .threshold = thresholds.on(x), .flip = flips.on(x)});
    multiply(x, kernels,
             DotOutput{.codes = codes.matrix(x, m, n, n + level_gap),
                       .levels = levels,
                       .threshold = level_thresholds.on(x),
                       .level_stride = level_gap == 0 ? 0 : n + level_gap,
                       .flip = flips.on(x)});
  });
  ExpectMatrix(floats, m, n, n + 3,
               [&](int64_t i, int64_t j) { return static_cast<float>(dots[i * n + j]) * scale.at(j); });
  ExpectBits(bits, [&](int64_t i, int64_t bit) {
    const int64_t j = bit % n;
    return (dots[i * bits.cols() + bit] >= threshold[j]) != flip_of(flips, j);
  });
  ExpectMatrix(codes, m, n, n + level_gap, [&](int64_t i, int64_t j) {
    int reached = 0;
    for (int l = 0; l < levels; ++l) reached += dots[i * n + j] >= level_values[l * (n + level_gap) + j] ? 1 : 0;
    return flip_of(flips, j) ? levels - reached : reached;
  });
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_KERNELS_DOT_OUTPUTS_H_
