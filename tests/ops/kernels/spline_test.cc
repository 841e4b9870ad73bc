#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

// The contract's formula for one element, in float.
struct Spot {
  int64_t interval;
  float t;
};
Spot SpotOf(const SplineGrid& grid, float x) {
  const float p = x * grid.inverse_step() + static_cast<float>(grid.knots / 2);
  int64_t interval = 0;
  if (p >= static_cast<float>(grid.knots - 2)) {
    interval = grid.knots - 2;
  } else if (p > 0) {
    interval = static_cast<int64_t>(p);
  }
  return {interval, p - static_cast<float>(interval)};
}

// The slopes at the inner knots, in double, without those that are nothing but roundings.
std::vector<double> SlopesOf(const SplineGrid& grid, const float* c) {
  const double step = double{grid.range} / static_cast<double>(grid.knots / 2);
  std::vector<double> slopes;
  for (int64_t k = 1; k + 1 < grid.knots; ++k) {
    const double a = c[k - 1], b = c[k], d = c[k + 1];
    const double bend = a - 2 * b + d;
    const double most = std::max({std::fabs(a), std::fabs(b), std::fabs(d)});
    slopes.push_back(std::fabs(bend) <= 0x1p-22 * most ? 0 : bend / step);
  }
  return slopes;
}

double Line(const SplineGrid& grid, const float* c, double x) {
  const double p = x / grid.range * static_cast<double>(grid.knots / 2) + static_cast<double>(grid.knots / 2);
  const auto i = static_cast<int64_t>(std::clamp(std::floor(p), 0.0, static_cast<double>(grid.knots - 2)));
  return c[i] + (p - static_cast<double>(i)) * (double{c[i + 1]} - c[i]);
}

class SplineTest : public KernelTest {
 protected:
  static const std::vector<SplineGrid>& Grids() {
    static const std::vector<SplineGrid> grids = {
        {.knots = 3, .range = 1}, {.knots = 21, .range = 1.5f}, {.knots = 9, .range = 0.5f}};
    return grids;
  }
  // With channels, whose numbers are around those of a warp; tall ones are several blocks' work, also where rows are
  // joined.
  std::vector<std::pair<int64_t, int64_t>> ChannelShapes() const {
    std::vector<std::pair<int64_t, int64_t>> shapes = Shapes();
    std::erase_if(shapes, [](const auto& shape) { return shape.second == 0 || shape.second > 1000; });
    shapes.insert(shapes.end(), {{3000, 1}, {2500, 3}, {500, 16}, {400, 33}, {300, 40}});
    if (!GetParam().slow) shapes.push_back({70000, 5});
    return shapes;
  }
};

TEST_P(SplineTest, ValuesAndIntervalsAreThoseOfTheFormula) {
  Random random(1);
  int turn = 0;
  for (const auto& [rows, channels] : ChannelShapes()) {
    const SplineGrid grid = Grids()[turn++ % 3];
    SCOPED_TRACE(testing::Message() << rows << " x " << channels << ", " << grid.knots << " knots");
    const int64_t n = rows * channels, knots = grid.knots;
    const Array<float> x(*this, HardVector(random, n)), c(*this, RandomVector(random, channels * knots));
    const Array<float> y(*this, n), without(*this, n);
    const Array<uint8_t> intervals(*this, n);
    Run([&, rows = rows, channels = channels](ExecContext& context, const Kernels& k) {
      const ConstMatrixView<float> in = x.matrix(context, rows, channels, channels);
      k.spline_forward(context, grid, in, c.on(context), y.on(context), intervals.on(context));
      k.spline_forward(context, grid, in, c.on(context), without.on(context), nullptr);
    });
    const auto value = [&, channels = channels](int64_t i) {
      const Spot spot = SpotOf(grid, x.initial(i));
      const float* const ends = c.initial().data() + i % channels * knots + spot.interval;
      return ends[0] + spot.t * (ends[1] - ends[0]);
    };
    ExpectValues(y, value);
    ExpectValues(without, value);
    ExpectValues(intervals, [&](int64_t i) { return SpotOf(grid, x.initial(i)).interval; });
  }
}

TEST_P(SplineTest, GradientsAreThoseOfTheFormula) {
  Random random(2);
  int turn = 0;
  for (const auto& [rows, channels] : ChannelShapes()) {
    const SplineGrid grid = Grids()[turn++ % 3];
    SCOPED_TRACE(testing::Message() << rows << " x " << channels << ", " << grid.knots << " knots");
    const int64_t n = rows * channels, knots = grid.knots, table = channels * knots;
    const Array<float> x(*this, RandomVector(random, n)), c(*this, RandomVector(random, table));
    const Array<float> dy(*this, RandomVector(random, n));
    const Array<float> dx(*this, n), by_intervals(*this, n), dc(*this, table), dc_alone(*this, table);
    std::vector<uint8_t> found(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) found[i] = static_cast<uint8_t>(SpotOf(grid, x.initial(i)).interval);
    const Array<uint8_t> intervals(*this, found);
    Run([&, rows = rows, channels = channels](ExecContext& context, const Kernels& k) {
      const ConstMatrixView<float> in = x.matrix(context, rows, channels, channels);
      k.spline_backward(context, grid, in, c.on(context), dy.on(context), dx.on(context), dc.on(context));
      k.spline_backward(context, grid, in, c.on(context), dy.on(context), nullptr, dc_alone.on(context));
      k.spline_backward_input(context, grid, rows, channels, intervals.on(context), c.on(context), dy.on(context),
                              by_intervals.on(context));
    });
    std::vector<double> sums(static_cast<size_t>(table), 0), sizes(sums);
    std::vector<int64_t> terms(sums.size(), 0);
    for (int64_t i = 0; i < n; ++i) {
      const Spot spot = SpotOf(grid, x.initial(i));
      const double g = dy.initial(i), t = spot.t;
      const int64_t at = i % channels * knots + spot.interval;
      sums[at] += g * (1 - t);
      sums[at + 1] += g * t;
      for (const int64_t end : {at, at + 1}) {
        sizes[end] += std::fabs(g) + std::fabs(g * t);
        ++terms[end];
      }
    }
    const auto slope = [&, channels = channels](int64_t i) {
      const float* const ends = c.initial().data() + i % channels * knots + found[i];
      return dy.initial(i) * ((ends[1] - ends[0]) * grid.inverse_step());
    };
    ExpectValues(dx, slope);
    ExpectValues(by_intervals, slope);
    for (const Array<float>* result : {&dc, &dc_alone}) {
      // Each sum is one of floats, in any order.
      ExpectNear(
          *result, table, [&](int64_t i) { return sums[i]; },
          [&](int64_t i) { return static_cast<double>(terms[i] + 2) * kRoundingError * sizes[i]; });
    }
    EXPECT_EQ(dc.values(), dc_alone.values());
  }
}

// The most knots, whose sums take the most shared memory.
TEST_P(SplineTest, MostKnots) {
  Random random(3);
  const SplineGrid grid = {.knots = SplineGrid::kMostKnots, .range = 1};
  const int64_t rows = 40, channels = 35, n = rows * channels, table = channels * grid.knots;
  const Array<float> x(*this, RandomVector(random, n)), c(*this, RandomVector(random, table));
  const Array<float> dy(*this, std::vector<float>(static_cast<size_t>(n), 1.0f)), dc(*this, table);
  Run([&](ExecContext& context, const Kernels& k) {
    k.spline_backward(context, grid, x.matrix(context, rows, channels, channels), c.on(context), dy.on(context),
                      nullptr, dc.on(context));
  });
  std::vector<double> sums(static_cast<size_t>(table), 0);
  for (int64_t i = 0; i < n; ++i) {
    const Spot spot = SpotOf(grid, x.initial(i));
    sums[i % channels * grid.knots + spot.interval] += 1 - double{spot.t};
    sums[i % channels * grid.knots + spot.interval + 1] += spot.t;
  }
  ExpectNear(
      dc, table, [&](int64_t i) { return sums[i]; }, [](int64_t) { return 40 * 300 * kRoundingError; });
}

class SplineCoefficientsTest : public KernelTest {
 protected:
  static const std::vector<std::pair<int64_t, SplineGrid>>& Tables() {
    static const std::vector<std::pair<int64_t, SplineGrid>> tables = {{1, {.knots = 3, .range = 2}},
                                                                       {5, {.knots = 21, .range = 1}},
                                                                       {33, {.knots = 9, .range = 0.5f}},
                                                                       {300, {.knots = 51, .range = 4}},
                                                                       {2, {.knots = 255, .range = 1}}};
    return tables;
  }
  static float Knot(const SplineGrid& grid, int64_t k) { return static_cast<float>(k - grid.knots / 2) * grid.step(); }

  // Coefficients on a straight line but for some knots, so that there are slopes of 0 and small ones.
  static std::vector<float> Coefficients(Random& random, int64_t channels, const SplineGrid& grid) {
    std::vector<float> c;
    for (int64_t n = 0; n < channels; ++n) {
      const float slope = random.Uniform(-2, 2);
      for (int64_t k = 0; k < grid.knots; ++k) {
        const uint32_t kind = random.Below(4);
        const float off = kind == 0 ? random.Uniform(-1, 1) : kind == 1 ? random.Uniform(-1e-3f, 1e-3f) : 0.0f;
        c.push_back(slope * Knot(grid, k) + off);
      }
    }
    return c;
  }
};

TEST_P(SplineCoefficientsTest, LinearTerm) {
  Random random(4);
  for (const auto& [channels, grid] : Tables()) {
    SCOPED_TRACE(testing::Message() << channels << " x " << grid.knots);
    const int64_t knots = grid.knots, count = channels * knots;
    const Array<float> c(*this, RandomVector(random, count)), dc(*this, RandomVector(random, count));
    const Array<float> b0(*this, RandomVector(random, channels)), b1(*this, RandomVector(random, channels));
    const Array<float> y(*this, count), db0(*this, channels), db1(*this, channels);
    Run([&, channels = channels, grid = grid](ExecContext& context, const Kernels& k) {
      k.spline_linear_term_forward(context, grid, channels, c.on(context), b0.on(context), b1.on(context),
                                   y.on(context));
      k.spline_linear_term_backward(context, grid, channels, dc.on(context), db0.on(context), db1.on(context));
    });
    ExpectValues(y, [&, grid = grid](int64_t i) {
      return c.initial(i) + (b0.initial(i / knots) + b1.initial(i / knots) * Knot(grid, i % knots));
    });
    std::vector<double> sums(static_cast<size_t>(channels), 0), moments(sums);
    for (int64_t i = 0; i < count; ++i) {
      sums[i / knots] += dc.initial(i);
      moments[i / knots] += double{dc.initial(i)} * Knot(grid, i % knots);
    }
    const double rounding = 2 * kRoundingError * 2 * static_cast<double>(knots) * std::fmax(1, grid.range);
    ExpectNear(
        db0, channels, [&](int64_t i) { return sums[i]; }, [&](int64_t) { return rounding; });
    ExpectNear(
        db1, channels, [&](int64_t i) { return moments[i]; }, [&](int64_t) { return rounding; });
  }
}

TEST_P(SplineCoefficientsTest, SparsifyTakesOutSmallSlopes) {
  Random random(5);
  for (const auto& [channels, grid] : Tables()) {
    for (const float threshold : {0.0f, 0.5f}) {
      SCOPED_TRACE(testing::Message() << channels << " x " << grid.knots << ", threshold " << threshold);
      const int64_t knots = grid.knots, count = channels * knots;
      const double step = double{grid.range} / static_cast<double>(knots / 2);
      const Array<float> c(*this, Coefficients(random, channels, grid)), y(*this, count);
      Run([&, channels = channels, grid = grid](ExecContext& context, const Kernels& k) {
        k.sparsify_splines(context, grid, channels, threshold, c.on(context), y.on(context));
      });
      std::vector<float> expected = c.initial();
      for (int64_t n = 0; n < channels; ++n) {
        float* const row = expected.data() + n * knots;
        std::vector<double> slopes = SlopesOf(grid, row);
        bool removes = false;
        for (double& slope : slopes) {
          if (slope == 0 || std::fabs(slope) >= threshold) continue;
          slope = 0;
          removes = true;
        }
        if (!removes) continue;
        double before = row[0], last = row[1];
        for (int64_t k = 2; k < knots; ++k) {
          const double next = 2 * last - before + step * slopes[k - 2];
          before = last;
          last = next;
          row[k] = static_cast<float>(next);
        }
      }
      ExpectValues(y, [&](int64_t i) { return expected[i]; });
    }
  }
}

TEST_P(SplineCoefficientsTest, PenaltyAndItsGradient) {
  Random random(6);
  for (const auto& [channels, grid] : Tables()) {
    for (const SplinePenaltyKind kind : {SplinePenaltyKind::kTv2, SplinePenaltyKind::kBv2}) {
      SCOPED_TRACE(testing::Message() << channels << " x " << grid.knots << ", kind " << static_cast<int>(kind));
      const int64_t knots = grid.knots, count = channels * knots;
      const Array<float> c(*this, Coefficients(random, channels, grid)), dy(*this, std::vector<float>{0.75f});
      const Array<float> y(*this, 1), dc(*this, count);
      Run([&, channels = channels, grid = grid](ExecContext& context, const Kernels& k) {
        k.spline_penalty_forward(context, grid, kind, channels, c.on(context), y.on(context));
        k.spline_penalty_backward(context, grid, kind, channels, c.on(context), dy.on(context), dc.on(context));
      });
      const auto sign = [](double v) { return v > 0 ? 1.0 : v < 0 ? -1.0 : 0.0; };
      const double step = double{grid.range} / static_cast<double>(knots / 2);
      double sum = 0;
      std::vector<double> gradient(static_cast<size_t>(count), 0);
      for (int64_t n = 0; n < channels; ++n) {
        const float* const row = c.initial().data() + n * knots;
        double* const to = gradient.data() + n * knots;
        const std::vector<double> slopes = SlopesOf(grid, row);
        for (size_t k = 0; k < slopes.size(); ++k) {
          sum += std::fabs(slopes[k]);
          const double g = 0.75 * sign(slopes[k]) / step;
          to[k] += g;
          to[k + 1] -= 2 * g;
          to[k + 2] += g;
        }
        for (const double x : {0.0, 1.0}) {
          if (kind == SplinePenaltyKind::kTv2) break;
          sum += std::fabs(Line(grid, row, x));
          const double p = x / step + static_cast<double>(knots / 2);
          const auto i = static_cast<int64_t>(std::fmin(std::floor(p), static_cast<double>(knots - 2)));
          const double g = 0.75 * sign(Line(grid, row, x));
          to[i] += g * (static_cast<double>(i + 1) - p);
          to[i + 1] += g * (p - static_cast<double>(i));
        }
      }
      ExpectNear(
          y, 1, [&](int64_t) { return sum; }, [&](int64_t) { return 2 * kRoundingError * sum; });
      ExpectNear(
          dc, count, [&](int64_t i) { return gradient[i]; },
          [&](int64_t) { return kRoundingError * (4 * 0.75 / step + 4 / step); });
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(SplineTest);
BITGRAD_INSTANTIATE_ON_DEVICES(SplineCoefficientsTest);

}  // namespace
}  // namespace bitgrad
