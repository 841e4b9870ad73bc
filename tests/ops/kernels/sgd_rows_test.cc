#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/optimizer_step.h"

namespace bitgrad {
namespace {

using SgdRowsTest = KernelTest;

// What PrepareStep() overwrites is garbage.
std::vector<StepScalars> Garbage(int32_t failed) { return {{.gradient_scale = 7, .failed = failed}}; }

// The rows that occur change as sgd_step changes them with a gradient of 0 in the other rows, to the last bit, and so
// do the counts.
TEST_P(SgdRowsTest, SgdOfRows) {
  Random random(5);
  for (const auto& [count, cols] :
       std::vector<std::pair<int64_t, int64_t>>{{0, 3}, {1, 1}, {3, 0}, {5, 33}, {40, 65}, {9, 300}}) {
    const int64_t n = 50;  // rows of the weight
    SCOPED_TRACE(testing::Message() << count << " of " << n << " rows of " << cols);
    std::vector<int32_t> row_values(count, -1);
    for (int64_t i = 0; i < count; ++i) {
      if (i % 4 != 3) row_values[i] = static_cast<int32_t>((i * 7 + 2) % n);  // distinct
    }
    std::vector<float> w = RandomVector(random, n * cols, -0.1f, 0.1f);
    for (size_t i = 0; i < w.size(); i += 11) w[i] = i % 2 == 0 ? 0.0f : -0.0f;
    std::vector<float> by_rows = RandomVector(random, count * cols), dense(n * cols, 0);
    for (size_t i = 0; i < by_rows.size(); i += 13) by_rows[i] = i % 2 == 0 ? 0.0f : -0.0f;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < cols && row_values[i] >= 0; ++j) dense[row_values[i] * cols + j] = by_rows[i * cols + j];
    }
    const Array<int32_t> rows(*this, row_values);
    const Array<float> gradient(*this, by_rows), dense_gradient(*this, dense), weight(*this, w), expected(*this, w);
    const Array<double> squares(*this, std::vector<double>{4.0});
    const Array<RuleNumbers> rate(*this, std::vector<RuleNumbers>{{0.3f, 0}});
    const Array<StepScalars> scalars(*this, Garbage(0)), expected_scalars(*this, Garbage(0));
    const Array<StepCounts> counts(*this, 1), expected_counts(*this, 1);
    const reference::StepArgs args = {.weight_scale = 1.5f};
    Run([&, count = count, cols = cols](ExecContext& c, const Kernels& k) {
      const StepTensor tensor = args.Tensor(dense_gradient.on(c), expected.on(c), nullptr, nullptr, n * cols);
      k.prepare_step(c, squares.on(c), nullptr, 1.0, {tensor}, expected_scalars.on(c), expected_counts.on(c));
      k.sgd_step(c, false, rate.on(c), expected_scalars.on(c), {tensor}, expected_counts.on(c));
      k.prepare_step(c, squares.on(c), nullptr, 1.0, {tensor}, scalars.on(c), counts.on(c));
      k.sgd_rows_step(c, rate.on(c), scalars.on(c), rows.on(c), gradient.matrix(c, count, cols, cols), 1.5f,
                      weight.matrix(c, n, cols, cols), counts.on(c));
    });
    const std::vector<float> right = expected.values();
    ExpectValues(weight, [&](int64_t i) { return right[i]; });
    EXPECT_EQ(counts.values()[0].sign_flips, expected_counts.values()[0].sign_flips);
    EXPECT_EQ(counts.values()[0].at_clip, 0);
    if (count * cols > 100) {
      EXPECT_GT(counts.values()[0].sign_flips, 0);
    }
    // After a failure nothing changes.
    const Array<StepScalars> failed(*this, Garbage(1));
    Run([&, count = count, cols = cols](ExecContext& c, const Kernels& k) {
      k.sgd_rows_step(c, rate.on(c), failed.on(c), rows.on(c), gradient.matrix(c, count, cols, cols), 1.5f,
                      weight.matrix(c, n, cols, cols), counts.on(c));
    });
    ExpectValues(weight, [&](int64_t i) { return right[i]; });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(SgdRowsTest);

}  // namespace
}  // namespace bitgrad
