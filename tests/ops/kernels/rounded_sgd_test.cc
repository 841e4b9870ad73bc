#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/number_format.h"
#include "bitgrad/tests/reference/optimizer_step.h"

namespace bitgrad {
namespace {

using RoundedSgdTest = KernelTest;

struct Formats {
  NumberFormat step, weight;
};
const Formats kFormats[] = {
    {{NumberFormatKind::kDynamicFixed, 10, -2}, {NumberFormatKind::kDynamicFixed, 12, 0}},
    {{NumberFormatKind::kFixed, 8, 0}, {NumberFormatKind::kFixed, 8, 1}},
    {{NumberFormatKind::kHalf}, {NumberFormatKind::kHalf}},
    {{}, {NumberFormatKind::kBfloat16}},
};

// With and without a velocity: the step is that of the rule, rounded; the velocity keeps it; the weight is rounded,
// too.
TEST_P(RoundedSgdTest, RoundsTheStepAndTheWeight) {
  Random random(5);
  for (const Formats& formats : kFormats) {
    for (const bool has_velocity : {true, false}) {
      for (const int64_t n : Counts()) {
        if (n == 0) continue;
        SCOPED_TRACE(testing::Message() << ToString(formats.step) << ", " << ToString(formats.weight) << ", " << n);
        const reference::StepArgs args = {.rate = 0.3f,
                                          .gradient_scale = 0.5f,
                                          .weight_decay = 0.01f,
                                          .weight_scale = 2,
                                          .least = -0.75f,
                                          .most = 0.5f};
        const float momentum = 0.625f;
        const Array<float> gradient(*this, RandomVector(random, n)),
            weight(*this, RandomVector(random, n, -0.7f, 0.5f));
        const Array<float> velocity(*this, RandomVector(random, n));
        const Array<float> step_range(*this, std::vector<float>{-2}), weight_range(*this, std::vector<float>{0});
        const Array<float> step_overflows(*this, std::vector<float>(3)), weight_overflows(*this, std::vector<float>(3));
        const Array<double> squares(*this, std::vector<double>{1.0});
        const Array<StepScalars> scalars(*this, std::vector<StepScalars>{{}});
        const Array<RuleNumbers> numbers(*this, std::vector<RuleNumbers>{{args.rate, momentum}});
        const Array<StepCounts> counts(*this, 1);
        const auto rounding = [](const NumberFormat& format, const float* range, float* overflows) {
          const bool dynamic = format.kind == NumberFormatKind::kDynamicFixed;
          return Rounding{.kind = format.kind,
                          .bits = format.bits,
                          .fixed_range = format.range,
                          .range = dynamic ? range : nullptr,
                          .overflows = dynamic ? overflows : nullptr};
        };
        Run([&](ExecContext& c, const Kernels& k) {
          StepTensor tensor =
              args.Tensor(gradient.on(c), weight.on(c), has_velocity ? velocity.on(c) : nullptr, nullptr, n);
          tensor.round_step = rounding(formats.step, step_range.on(c), step_overflows.on(c));
          tensor.round_weight = rounding(formats.weight, weight_range.on(c), weight_overflows.on(c));
          k.prepare_step(c, squares.on(c), nullptr, 0.5, {tensor}, scalars.on(c), counts.on(c));
          k.sgd_step(c, false, numbers.on(c), scalars.on(c), {tensor}, counts.on(c));
        });
        const auto step = [&](int64_t i) {
          const float g = reference::ScaledGradient(args, gradient.initial(i), weight.initial(i));
          const float exact = has_velocity ? momentum * velocity.initial(i) - args.rate * g : -args.rate * g;
          return reference::RoundToFormat(formats.step, exact);
        };
        const auto updated = [&](int64_t i) {
          return reference::RoundToFormat(formats.weight, reference::Moved(args, weight.initial(i), step(i)));
        };
        ExpectValues(weight, updated);
        ExpectValues(velocity, [&](int64_t i) { return has_velocity ? step(i) : velocity.initial(i); });
        int64_t flips = 0, at_clip = 0, steps_at_most = 0, weights_at_most = 0;
        for (int64_t i = 0; i < n; ++i) {
          flips += (updated(i) >= 0) != (weight.initial(i) >= 0);
          at_clip += args.AtClip(updated(i));
          if (formats.step.kind != NumberFormatKind::kDynamicFixed) continue;
          steps_at_most += reference::ShareOfMost(formats.step, step(i)) >= 1;
          weights_at_most += reference::ShareOfMost(formats.weight, updated(i)) >= 1;
        }
        EXPECT_EQ(counts.values()[0].sign_flips, flips);
        EXPECT_EQ(counts.values()[0].at_clip, at_clip);
        if (formats.step.kind != NumberFormatKind::kDynamicFixed) continue;
        const auto share = [&](int64_t count) {
          return static_cast<float>(static_cast<double>(count) / static_cast<double>(n));
        };
        EXPECT_EQ(step_overflows.values()[0], share(steps_at_most));
        EXPECT_EQ(weight_overflows.values()[0], share(weights_at_most));
        EXPECT_EQ(step_overflows.values()[2], 1);
        EXPECT_EQ(weight_overflows.values()[2], 1);
      }
    }
  }
}

TEST_P(RoundedSgdTest, AFailedStepChangesNothing) {
  const Array<float> gradient(*this, std::vector<float>{1, 1}), weight(*this, std::vector<float>{0.3f, 3});
  const Array<StepScalars> scalars(*this, std::vector<StepScalars>{{.gradient_scale = 1, .failed = 1}});
  const Array<RuleNumbers> numbers(*this, std::vector<RuleNumbers>{{0.1f, 0}});
  const Array<StepCounts> counts(*this, std::vector<StepCounts>(1));
  Run([&](ExecContext& c, const Kernels& k) {
    StepTensor tensor = reference::StepArgs().Tensor(gradient.on(c), weight.on(c), nullptr, nullptr, 2);
    tensor.round_weight = {.kind = NumberFormatKind::kHalf};
    k.sgd_step(c, false, numbers.on(c), scalars.on(c), {tensor}, counts.on(c));
    k.limit_row_norms(c, 0.1f, {}, scalars.on(c), {weight.on(c), 1, 2});
  });
  EXPECT_EQ(weight.values(), weight.initial());
}

// Rows that are longer than the limit get its length; the others stay bit for bit.
TEST_P(RoundedSgdTest, LimitsRowNorms) {
  Random random(6);
  for (const auto& [m, n] : Shapes()) {
    if (m == 0 || n == 0) continue;
    for (const bool rounds : {false, true}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n);
      std::vector<float> values = RandomVector(random, m * n);
      for (int64_t j = 0; j < n; ++j) values[j] *= 0.01f;
      const Array<float> w(*this, values);
      const Array<StepScalars> scalars(*this, std::vector<StepScalars>{{}});
      const NumberFormat format = rounds ? NumberFormat{NumberFormatKind::kFixed, 12, 0} : NumberFormat();
      const float limit = 0.6f;
      Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
        k.limit_row_norms(c, limit, {.kind = format.kind, .bits = format.bits, .fixed_range = format.range},
                          scalars.on(c), {w.on(c), m, n});
      });
      const std::vector<float> limited = w.values();
      for (int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < n; ++j) sum += double{values[i * n + j]} * double{values[i * n + j]};
        const double norm = std::sqrt(sum);
        for (int64_t j = 0; j < n; ++j) {
          const float x = values[i * n + j];
          if (norm <= limit) {
            EXPECT_EQ(limited[i * n + j], x);
          } else {
            const double tolerance = rounds ? 0x1p-12 + 1e-6 : 2e-7;
            EXPECT_NEAR(limited[i * n + j], x * limit / norm, tolerance);
            EXPECT_EQ(limited[i * n + j], reference::RoundToFormat(format, limited[i * n + j]));
          }
        }
      }
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(RoundedSgdTest);

}  // namespace
}  // namespace bitgrad
