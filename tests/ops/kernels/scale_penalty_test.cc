#include "bitgrad/ops/kernels/scale_penalty.h"

#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/reduce.h"

namespace bitgrad {
namespace {

class ScalePenaltyTest : public KernelTest {};

double Slope(ScalePenaltyKind kind, float distance) {
  if (kind == ScalePenaltyKind::kR2) return 2.0 * distance;
  return distance > 0 ? 1 : distance < 0 ? -1 : 0;
}

TEST_P(ScalePenaltyTest, ForwardAndBackward) {
  Random random(4);
  std::vector<std::pair<int64_t, int64_t>> shapes = Shapes();
  shapes.insert(shapes.end(), {{3, 4099}, {700, 5}});
  for (const auto& [m, n] : shapes) {
    for (const ScalePenaltyKind kind : {ScalePenaltyKind::kR1, ScalePenaltyKind::kR2}) {
      for (const int64_t alpha_stride : {0, 1}) {
        const bool is_r1 = kind == ScalePenaltyKind::kR1;
        SCOPED_TRACE(testing::Message() << m << " x " << n << ", " << (is_r1 ? "R1" : "R2") << ", stride "
                                        << alpha_stride);
        const int64_t stride = n + 3, scales = alpha_stride == 0 ? 1 : m;
        std::vector<float> weights = RandomVector(random, m * stride);
        std::vector<float> alphas = RandomVector(random, scales, 0.2f, 1.0f);
        // Weights at zero and at the scale itself, where signs decide.
        if (m > 0 && n > 1) {
          weights[0] = alphas[0];
          weights[1] = 0;
        }
        const Array<float> w(*this, weights), alpha(*this, alphas), dy(*this, std::vector<float>{0.75f});
        const Array<float> y(*this, 1), dw(*this, m * (n + 5)), dalpha(*this, scales);
        Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
          k.scale_penalty_forward(c, kind, w.matrix(c, m, n, stride), alpha.on(c), alpha_stride, y.on(c));
          k.scale_penalty_backward(c, kind, w.matrix(c, m, n, stride), alpha.on(c), alpha_stride, dy.on(c),
                                   dw.matrix(c, m, n, n + 5), dalpha.on(c));
        });
        const auto distance = [&](int64_t i, int64_t j) {
          return alphas[i * alpha_stride] - std::fabs(weights[i * stride + j]);
        };
        reference::Sum sum;
        std::vector<reference::Sum> slopes(scales);
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            const float d = distance(i, j);
            sum.Add(static_cast<double>(is_r1 ? std::fabs(d) : d * d));
            slopes[i * alpha_stride].Add(Slope(kind, d));
          }
        }
        const auto tolerance = [](const reference::Sum& s) {
          return 2 * kRoundingError * std::fabs(s.value) + 1e-12 * s.magnitude;
        };
        ExpectNear(
            y, 1, [&](int64_t) { return sum.value; }, [&](int64_t) { return tolerance(sum); });
        ExpectNear(
            dalpha, scales, [&](int64_t i) { return slopes[i].value * 0.75; },
            [&](int64_t i) { return tolerance(slopes[i]); });
        ExpectMatrix(dw, m, n, n + 5, [&](int64_t i, int64_t j) {
          const float slope = 0.75f * static_cast<float>(Slope(kind, distance(i, j)));
          return weights[i * stride + j] >= 0 ? -slope : slope;
        });
      }
    }
  }
}

// The minima over alpha for fixed weights: where the gradient changes its sign is the median (R1), the mean (R2).
TEST_P(ScalePenaltyTest, MinimaAreMedianAndMean) {
  const std::vector<float> weights = {0.1f, -0.2f, 0.4f, -0.9f, 1.4f};  // median 0.4, mean 0.6
  for (const auto& [kind, minimum] : {std::pair{ScalePenaltyKind::kR1, 0.4f}, std::pair{ScalePenaltyKind::kR2, 0.6f}}) {
    for (const float step : {-1e-3f, 1e-3f}) {
      const Array<float> w(*this, weights), alpha(*this, std::vector<float>{minimum + step}),
          dy(*this, std::vector<float>{1.0f});
      const Array<float> dw(*this, 5), dalpha(*this, 1);
      Run([&, kind = kind](ExecContext& c, const Kernels& k) {
        k.scale_penalty_backward(c, kind, w.matrix(c, 1, 5, 5), alpha.on(c), 0, dy.on(c), dw.matrix(c, 1, 5, 5),
                                 dalpha.on(c));
      });
      EXPECT_GT(dalpha.values()[0] * step, 0) << minimum + step;
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(ScalePenaltyTest);

}  // namespace
}  // namespace bitgrad
