#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using CudaReduceTest = CudaTest;

// Sums in double with another order differ by at most count 2^-53 of the sum of magnitudes. Compared with the rounding
// to float at the end that is negligible, but the rounding may give either neighbour. Where numbers cancel, an absolute
// error of `magnitude` 2^-53 count remains.
constexpr double kOneRounding = 2 * kRounding;
double LostInDouble(int64_t count, double magnitude) {
  return 2 * static_cast<double>(count) * magnitude * count * 0x1p-53;
}

// Matrices with more rows than one block adds up, and than 256 pieces of 128 rows.
std::vector<std::pair<int64_t, int64_t>> TallShapes() {
  std::vector<std::pair<int64_t, int64_t>> shapes = Shapes();
  shapes.insert(shapes.end(), {{255, 40}, {256, 40}, {300, 33}, {40000, 3}, {1000, 70}, {3000, 1}, {100, 513}});
  return shapes;
}

TEST_F(CudaReduceTest, SumRows) {
  TestRandom random(1);
  for (const auto& [m, n] : TallShapes()) {
    for (const bool accumulate : {false, true}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n << (accumulate ? ", accumulated" : ""));
      Both<float> x = Uniform(random, m * (n + 3)), y = Uniform(random, n);
      OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        k.sum_rows(c, x.matrix(c, m, n, n + 3), accumulate, y.on(c));
      });
      ExpectClose(y, kOneRounding, LostInDouble(m + 1, 2));
    }
  }
}

TEST_F(CudaReduceTest, SumsOfAll) {
  TestRandom random(2);
  std::vector<int64_t> counts = Counts();
  counts.insert(counts.end(), {2047, 2048, 2 * 2048 - 1, 2 * 2048 + 3, 100003, 600001});
  for (const int64_t n : counts) {
    for (const int64_t offset : {0, 1}) {  // aligned to 16 bytes, and not
      SCOPED_TRACE(testing::Message() << n << " from " << offset);
      Both<float> x = Uniform(random, n + offset), y(gpu_, 1);
      Both<double> squares(gpu_, std::vector<double>{0.25, 0.5, 0.75});
      OnBoth([&](ExecContext& c, const Kernels& k) {
        k.sum_all(c, x.on(c) + offset, n, 0.3f, y.on(c));
        const absl::Span<const float> all(x.on(c) + offset, static_cast<size_t>(n));
        k.sums_of_squares(c, {all, all.first(0), all.first(static_cast<size_t>(n / 2))}, squares.on(c));
      });
      ExpectClose(y, kOneRounding, LostInDouble(n, 2));
      for (int i = 0; i < 3; ++i) {
        const double cpu = squares.of_host()[i];
        EXPECT_NEAR(squares.of_device()[i], cpu, 2 * (n + 1.0) * 0x1p-53 * cpu);
      }
    }
  }
}

TEST_F(CudaReduceTest, SumsSayNaN) {
  for (const int64_t n : {3, 5000}) {
    for (const int64_t at : {int64_t{0}, n - 1}) {
      std::vector<float> values(n, 1.0f);
      values[at] = NAN;
      Both<float> x(gpu_, values), y(gpu_, 1);
      Both<double> squares(gpu_, std::vector<double>{0});
      OnBoth([&](ExecContext& c, const Kernels& k) {
        k.sum_all(c, x.on(c), n, 1.0f, y.on(c));
        k.sums_of_squares(c, {absl::Span<const float>(x.on(c), static_cast<size_t>(n))}, squares.on(c));
      });
      ExpectClose(y, 0);
      EXPECT_TRUE(std::isnan(squares.of_device()[0]));
    }
  }
}

// More arrays than one launch takes.
TEST_F(CudaReduceTest, SquaresOfManyArrays) {
  constexpr int kArrays = 150;
  TestRandom random(9);
  Both<float> x = Uniform(random, kArrays);
  Both<double> squares(gpu_, kArrays);
  OnBoth([&](ExecContext& c, const Kernels& k) {
    std::vector<absl::Span<const float>> arrays;
    for (int i = 0; i < kArrays; ++i) arrays.emplace_back(x.on(c) + i, 1);
    k.sums_of_squares(c, arrays, squares.on(c));
  });
  ExpectSame(squares);
}

TEST_F(CudaReduceTest, MeansOfMagnitudes) {
  TestRandom random(3);
  std::vector<std::pair<int64_t, int64_t>> shapes = TallShapes();
  shapes.insert(shapes.end(), {{3, 1023}, {3, 1024}, {5, 1025}, {2, 4099}});
  for (const auto& [m, n] : shapes) {
    SCOPED_TRACE(testing::Message() << m << " x " << n);
    Both<float> x = Uniform(random, m * (n + 3)), dy = Uniform(random, m), y(gpu_, m), dx(gpu_, m * (n + 1));
    OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
      k.mean_abs_rows(c, x.matrix(c, m, n, n + 3), y.on(c));
      k.mean_abs_rows_backward(c, x.matrix(c, m, n, n + 3), dy.on(c), dx.matrix(c, m, n, n + 1));
    });
    ExpectClose(y, kOneRounding);  // Magnitudes do not cancel.
    ExpectSame(dx);
  }
}

TEST_F(CudaReduceTest, SignsOfZerosAndNaNs) {
  const float infinity = std::numeric_limits<float>::infinity();
  Both<float> x(gpu_, {0.0f, -0.0f, NAN, infinity, -infinity, -1e-45f}), dy(gpu_, std::vector<float>{3.0f});
  Both<float> dx(gpu_, 6), y(gpu_, 1);
  OnBoth([&](ExecContext& c, const Kernels& k) {
    k.mean_abs_rows_backward(c, x.matrix(c, 1, 6), dy.on(c), dx.matrix(c, 1, 6));
    k.mean_abs_rows(c, x.matrix(c, 1, 6), y.on(c));
  });
  ExpectSame(dx);
  ExpectClose(y, 0);
}

}  // namespace
}  // namespace bitgrad
