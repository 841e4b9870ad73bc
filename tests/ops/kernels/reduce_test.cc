#include "bitgrad/tests/reference/reduce.h"

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

class ReduceTest : public KernelTest {
 protected:
  // Shapes(), and taller ones than what one block of a GPU adds up, and than 256 pieces of 128 rows.
  std::vector<std::pair<int64_t, int64_t>> TallShapes() const {
    std::vector<std::pair<int64_t, int64_t>> shapes = Shapes();
    shapes.insert(shapes.end(), {{255, 40}, {256, 40}, {300, 33}, {40000, 3}, {1000, 70}, {3000, 1}, {100, 513}});
    return shapes;
  }
};

// The sum in double is exact to far below a float's last place; one rounding to float remains, plus one for what is
// scaled or added.
double Tolerance(const reference::Sum& sum, int64_t count) {
  return 2 * kRoundingError * std::fabs(sum.value) + static_cast<double>(count) * 0x1p-53 * sum.magnitude;
}

// array[i] is sums[i] but for rounding.
void ExpectSums(const Array<float>& array, const std::vector<reference::Sum>& sums, int64_t count) {
  ExpectNear(
      array, static_cast<int64_t>(sums.size()), [&](int64_t i) { return sums[i].value; },
      [&](int64_t i) { return Tolerance(sums[i], count); });
}

TEST_P(ReduceTest, SumsRows) {
  Random random(1);
  for (const auto& [m, n] : TallShapes()) {
    for (const bool accumulate : {false, true}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n << (accumulate ? ", accumulated" : ""));
      const int64_t stride = n + 3;
      const Array<float> x(*this, RandomVector(random, m * stride)), y(*this, RandomVector(random, n));
      Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        k.sum_rows(c, x.matrix(c, m, n, stride), accumulate, y.on(c));
      });
      std::vector<reference::Sum> sums(n);
      for (int64_t j = 0; j < n; ++j) {
        sums[j] = reference::SumOf(m, [&](int64_t i) { return x.initial(i * stride + j); });
        if (accumulate) sums[j].Add(y.initial(j));
      }
      ExpectSums(y, sums, m + 1);
    }
  }
}

TEST_P(ReduceTest, SumsAll) {
  Random random(2);
  std::vector<int64_t> counts = Counts();
  counts.insert(counts.end(), {2047, 2048, 2 * 2048 - 1, 2 * 2048 + 3, 100003, 600001});
  for (const int64_t n : counts) {
    for (const int64_t offset : {0, 1}) {  // aligned to 16 bytes, and not
      SCOPED_TRACE(testing::Message() << n << " from " << offset);
      const Array<float> x(*this, RandomVector(random, n + offset)), y(*this, 1);
      const Array<double> squares(*this, {0.25, 0.5, 0.75});
      Run([&](ExecContext& c, const Kernels& k) {
        k.sum_all(c, x.on(c) + offset, n, 0.3f, y.on(c));
        const absl::Span<const float> all(x.on(c) + offset, static_cast<size_t>(n));
        k.sums_of_squares(c, {all, all.first(0), all.first(static_cast<size_t>(n / 2))}, squares.on(c));
      });
      const auto scaled = [&](int64_t i) { return 0.3f * static_cast<double>(x.initial(offset + i)); };
      ExpectSums(y, {reference::SumOf(n, scaled)}, n);
      const auto square = [&](int64_t i) { return static_cast<double>(x.initial(offset + i)) * x.initial(offset + i); };
      const reference::Sum sums[] = {reference::SumOf(n, square), reference::Sum(), reference::SumOf(n / 2, square)};
      ExpectNear(
          squares, 3, [&](int64_t i) { return sums[i].value; },
          [&](int64_t i) { return (static_cast<double>(n) + 1) * 0x1p-53 * sums[i].magnitude; });
    }
  }
}

TEST_P(ReduceTest, SumsSayNaN) {
  for (const int64_t n : {3, 5000}) {
    for (const int64_t at : {int64_t{0}, n - 1}) {
      std::vector<float> values(n, 1.0f);
      values[at] = NAN;
      const Array<float> x(*this, values), y(*this, 1);
      const Array<double> squares(*this, 1);
      Run([&](ExecContext& c, const Kernels& k) {
        k.sum_all(c, x.on(c), n, 1.0f, y.on(c));
        k.sums_of_squares(c, {absl::Span<const float>(x.on(c), static_cast<size_t>(n))}, squares.on(c));
      });
      EXPECT_TRUE(std::isnan(y.values()[0]));
      EXPECT_TRUE(std::isnan(squares.values()[0]));
    }
  }
}

// More than one launch takes.
TEST_P(ReduceTest, SquaresOfManyArrays) {
  constexpr int kArrays = 150;
  Random random(9);
  const Array<float> x(*this, RandomVector(random, kArrays));
  const Array<double> squares(*this, kArrays);
  Run([&](ExecContext& c, const Kernels& k) {
    std::vector<absl::Span<const float>> arrays;
    for (int i = 0; i < kArrays; ++i) arrays.emplace_back(x.on(c) + i, 1);
    k.sums_of_squares(c, arrays, squares.on(c));
  });
  ExpectValues(squares, [&](int64_t i) { return static_cast<double>(x.initial(i)) * x.initial(i); });
}

BITGRAD_INSTANTIATE_ON_DEVICES(ReduceTest);

// The bits of a sum are the machine's business nowhere: all instruction sets must agree.
TEST(ReducePlacesTest, AllInstructionSetsGiveTheSameBits) {
  Random random(4);
  const std::vector<float> x = RandomVector(random, 40001);
  std::vector<double> sums;
  for (const Place& place : Places()) {
    if (place.device != Device::kCpu) GTEST_SKIP() << "a GPU has one instruction set";
    place.enter();
    ExecContext context({.threads = 2});
    double sum = 0;
    place.kernels->sums_of_squares(context, {absl::MakeConstSpan(x)}, &sum);
    sums.push_back(sum);
  }
  for (const double sum : sums) EXPECT_EQ(sum, sums[0]);
}

}  // namespace
}  // namespace bitgrad
