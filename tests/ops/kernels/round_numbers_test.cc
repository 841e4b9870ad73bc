#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/number_format.h"

namespace bitgrad {
namespace {

using RoundNumbersTest = KernelTest;

const std::vector<NumberFormat>& Formats() {
  static const auto* const formats = new std::vector<NumberFormat>{
      {NumberFormatKind::kFloat},        {NumberFormatKind::kHalf},         {NumberFormatKind::kBfloat16},
      {NumberFormatKind::kFixed, 20, 5}, {NumberFormatKind::kFixed, 10, 5}, {NumberFormatKind::kFixed, 12, 5},
      {NumberFormatKind::kFixed, 2, 0},  {NumberFormatKind::kFixed, 8, -3}, {NumberFormatKind::kFixed, 6, 12},
      {NumberFormatKind::kFixed, 24, 1},
  };
  return *formats;
}

Rounding RoundingOf(const NumberFormat& format) {
  return {.kind = format.kind, .bits = format.bits, .fixed_range = format.range};
}

// Numbers of all sizes, ties and numbers beside them, and what is not finite.
std::vector<float> Numbers() {
  std::vector<float> numbers = BoundaryValues();
  uint32_t state = 1;
  for (int i = 0; i < 3000; ++i) {
    state = state * 1664525u + 1013904223u;
    numbers.push_back(std::bit_cast<float>(state));
  }
  for (int exponent = -30; exponent <= 20; ++exponent) {
    for (const double significand :
         {1.0, 1.5, 1 + 0x1p-11, 1 + 0x1p-10 + 0x1p-11, 1 + 0x1p-8, 2 - 0x1p-11, 1 + 0x1p-12}) {
      const auto x = static_cast<float>(std::ldexp(significand, exponent));
      for (const float each : {x, std::nextafter(x, 0.0f), std::nextafter(x, 1e30f)}) {
        numbers.push_back(each);
        numbers.push_back(-each);
      }
    }
  }
  for (const float x : {65504.0f, 65519.996f, 65520.0f, 65536.0f, 0x1p-24f, 0x1p-25f, 0x1.8p-25f, 0x1p-26f}) {
    numbers.push_back(x);
    numbers.push_back(-x);
  }
  return numbers;
}

TEST_P(RoundNumbersTest, EveryFormatAsTheReference) {
  const Array<float> x(*this, Numbers());
  const auto n = static_cast<int64_t>(x.initial().size());
  for (const NumberFormat& format : Formats()) {
    SCOPED_TRACE(ToString(format));
    const Array<float> y(*this, n), in_place(*this, x.initial());
    Run([&](ExecContext& c, const Kernels& k) {
      k.round_numbers(c, RoundingOf(format), x.on(c), y.on(c), n);
      k.round_numbers(c, RoundingOf(format), in_place.on(c), in_place.on(c), n);
    });
    const std::vector<float> values = y.values();
    for (int64_t i = 0; i < n; ++i) {
      const float expected = reference::RoundToFormat(format, x.initial(i));
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(values[i])) << x.initial(i);
      } else {
        EXPECT_EQ(values[i], expected) << x.initial(i);
      }
    }
    ExpectValues(in_place, [&](int64_t i) { return values[i]; });
  }
}

// binary16 is also a type of the compiler, whose conversion is the hardware's.
TEST_P(RoundNumbersTest, HalfIsTheCompilersHalf) {
  const Array<float> x(*this, Numbers());
  const auto n = static_cast<int64_t>(x.initial().size());
  const Array<float> y(*this, n);
  Run([&](ExecContext& c, const Kernels& k) {
    k.round_numbers(c, {.kind = NumberFormatKind::kHalf}, x.on(c), y.on(c), n);
  });
  const std::vector<float> values = y.values();
  for (int64_t i = 0; i < n; ++i) {
    const auto expected = static_cast<float>(static_cast<_Float16>(x.initial(i)));
    if (std::isnan(expected)) continue;
    EXPECT_EQ(values[i], expected) << x.initial(i);
  }
}

// The largest numbers and the steps of the paper's formats: its 20, 10 and 12 bits include the sign.
TEST_P(RoundNumbersTest, LargestNumberAndStep) {
  struct Case {
    int bits;
    float most, step;
  };
  for (const Case& each :
       {Case{20, 31.99993896484375f, 6.103515625e-5f}, Case{10, 31.9375f, 0.0625f}, Case{12, 31.984375f, 0.015625f}}) {
    const Array<float> x(*this, std::vector<float>{1e9f, -1e9f, each.step, 0.6f * each.step, 0.5f * each.step, 0});
    const Array<float> y(*this, 6);
    Run([&](ExecContext& c, const Kernels& k) {
      k.round_numbers(c, {.kind = NumberFormatKind::kFixed, .bits = each.bits, .fixed_range = 5}, x.on(c), y.on(c), 6);
    });
    EXPECT_EQ(y.values(), (std::vector<float>{each.most, -each.most, each.step, each.step, 0, 0}));
  }
}

// The range of a dynamic format is read from the device, and overflows are added to what was counted before.
TEST_P(RoundNumbersTest, CountsOverflows) {
  Random random(3);
  for (const int64_t n : Counts()) {
    if (n == 0) continue;
    SCOPED_TRACE(n);
    const NumberFormat format = {NumberFormatKind::kDynamicFixed, 6, 1};
    const Array<float> x(*this, RandomVector(random, n, -2.5f, 2.5f)), y(*this, n);
    const Array<float> range(*this, std::vector<float>{1});
    const Array<float> overflows(*this, std::vector<float>{0.25f, 0.5f, 3});
    Run([&](ExecContext& c, const Kernels& k) {
      k.round_numbers(
          c, {.kind = format.kind, .bits = 6, .fixed_range = 9, .range = range.on(c), .overflows = overflows.on(c)},
          x.on(c), y.on(c), n);
    });
    int64_t at_most = 0, at_half = 0;
    for (const float value : y.values()) {
      at_most += reference::ShareOfMost(format, value) >= 1;
      at_half += reference::ShareOfMost(format, value) >= 0.5;
    }
    EXPECT_TRUE(n < 100 || at_most > 0);
    ExpectValues(y, [&](int64_t i) { return reference::RoundToFormat(format, x.initial(i)); });
    const auto share = [&](int64_t count) {
      return static_cast<float>(static_cast<double>(count) / static_cast<double>(n));
    };
    EXPECT_EQ(overflows.values(), (std::vector<float>{0.25f + share(at_most), 0.5f + share(at_half), 4}));
  }
}

// r above the limit widens the range, r' at or below it narrows it, else it stays; before so many batches nothing
// happens.
TEST_P(RoundNumbersTest, ControlsRanges) {
  constexpr float kLimit = 1e-4f, kBatches = 100;
  struct Case {
    float range, over, over_below, batches, expected;
  };
  const Case cases[] = {
      {5, 1.01e-2f, 0.5f, 100, 6},      // r just above
      {5, 0.99e-2f, 1.01e-2f, 100, 5},  // r below, r' above
      {5, 0.5e-2f, 0.99e-2f, 100, 4},   // both below
      {5, 0, 0, 100, 4},                //
      {5, 3, 3, 99, 5},                 // not yet
      {5, 2e-2f, 2e-2f, 200, 4},        // means over as many as there were
      {60, 1, 1, 100, 60},
      {-60, 0, 0, 100, -60},
  };
  for (const Case& each : cases) {
    const Array<float> range(*this, std::vector<float>{each.range});
    const Array<float> overflows(*this, std::vector<float>{each.over, each.over_below, each.batches});
    const Array<float> second(*this, std::vector<float>{7});
    const Array<float> full(*this, std::vector<float>{1, 1, 100});
    Run([&](ExecContext& c, const Kernels& k) {
      const std::vector<ControlledRange> ranges = {{range.on(c), overflows.on(c)}, {second.on(c), full.on(c)}};
      k.control_ranges(c, kLimit, kBatches, ranges);
    });
    EXPECT_EQ(range.values()[0], each.expected) << each.over << " " << each.over_below;
    EXPECT_EQ(second.values()[0], 8);
    EXPECT_EQ(full.values(), (std::vector<float>{0, 0, 0}));
    const bool counted = each.batches >= kBatches;
    EXPECT_EQ(overflows.values(), counted ? std::vector<float>(3) : overflows.initial());
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(RoundNumbersTest);

}  // namespace
}  // namespace bitgrad
