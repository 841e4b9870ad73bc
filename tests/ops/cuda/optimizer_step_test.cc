#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/cuda/both.h"
#include "bitgrad/tests/reference/optimizer_step.h"

namespace bitgrad {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

using reference::StepArgs;

constexpr AdamArgs kAdam = {.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f};

// Weights, gradients and two slots on both sides, for a few steps of an optimizer.
class CudaOptimizerStepTest : public CudaTest {
 protected:
  using Step =
      std::function<void(ExecContext&, const Kernels&, const StepScalars*, absl::Span<const StepTensor>, StepCounts*)>;

  struct Scalars {
    Both<float> values;  // in the layout of StepScalars
    StepScalars* on(const ExecContext& c) { return reinterpret_cast<StepScalars*>(values.on(c)); }
  };
  Scalars ScalarsOf(const StepArgs& args, int32_t failed = 0) {
    static_assert(sizeof(StepScalars) == 3 * sizeof(float));
    return {Both<float>(gpu_, std::vector<float>{args.rate, args.gradient_scale, std::bit_cast<float>(failed)})};
  }
  static StepCounts* CountsOn(Both<int64_t>& counts, const ExecContext& c) {
    return reinterpret_cast<StepCounts*>(counts.on(c));
  }

  // Two steps over [rows, cols], with and without signs and a clip. Everything is equal to the last bit.
  void Check(int64_t rows, int64_t cols, int slots, const Step& step) {
    TestRandom random(1);
    for (const bool with_signs : {false, true}) {
      for (const float clip : {kInfinity, 0.5f}) {
        SCOPED_TRACE(testing::Message() << rows << " x " << cols << (with_signs ? " with signs" : "") << ", clip "
                                        << clip);
        const int64_t n = rows * cols;
        const StepArgs args = {
            .rate = 0.1f, .gradient_scale = 0.9f, .weight_decay = 0.01f, .weight_scale = 1.5f, .clip = clip};
        Scalars scalars = ScalarsOf(args);
        Both<float> gradient = Uniform(random, n), first = Uniform(random, n), second = Uniform(random, n, 0, 1),
                    weight = Uniform(random, n, -0.6f, 0.6f);
        Both<double> squares(gpu_, std::vector<double>{1.0});
        Both<int64_t> counts(gpu_, 2);
        BothBits signs(gpu_, rows, cols);
        for (int t = 0; t < 2; ++t) {
          OnBoth([&](ExecContext& c, const Kernels& k) {
            StepTensor tensor = args.Tensor(gradient.on(c), weight.on(c), slots > 0 ? first.on(c) : nullptr,
                                            slots > 1 ? second.on(c) : nullptr, n);
            if (with_signs) tensor.signs = signs.on(c);
            k.prepare_step(c, squares.on(c), nullptr, 0.9, {tensor}, scalars.on(c), CountsOn(counts, c));
            step(c, k, scalars.on(c), {tensor}, CountsOn(counts, c));
          });
          ExpectSame(weight);
          ExpectSame(first);
          ExpectSame(second);
          ExpectSame(counts);
          ExpectSame(scalars.values);
          ExpectSame(signs);
        }
      }
    }
  }

  // Sizes around pieces of 128 elements, words, padding, and the work of one block.
  void CheckAll(int slots, const Step& step) {
    for (const int64_t n : Counts()) Check(1, n, slots, step);
    for (const auto& [m, n] : Shapes()) Check(m, n, slots, step);
    const std::vector<std::pair<int64_t, int64_t>> more = {{2, 511}, {2, 512}, {3, 513}, {9, 128}, {5, 0}, {70, 130}};
    for (const auto& [m, n] : more) Check(m, n, slots, step);
  }
};

TEST_F(CudaOptimizerStepTest, Sgd) {
  CheckAll(0, [](ExecContext& c, const Kernels& k, const StepScalars* scalars, absl::Span<const StepTensor> tensors,
                 StepCounts* counts) { k.sgd_step(c, 0.0f, false, scalars, tensors, counts); });
}

TEST_F(CudaOptimizerStepTest, Momentum) {
  for (const bool nesterov : {false, true}) {
    CheckAll(1, [&](ExecContext& c, const Kernels& k, const StepScalars* scalars, absl::Span<const StepTensor> tensors,
                    StepCounts* counts) { k.sgd_step(c, 0.9f, nesterov, scalars, tensors, counts); });
  }
}

TEST_F(CudaOptimizerStepTest, Adam) {
  CheckAll(2, [](ExecContext& c, const Kernels& k, const StepScalars* scalars, absl::Span<const StepTensor> tensors,
                 StepCounts* counts) { k.adam_step(c, kAdam, scalars, tensors, counts); });
}

TEST_F(CudaOptimizerStepTest, AdaMax) {
  CheckAll(2, [](ExecContext& c, const Kernels& k, const StepScalars* scalars, absl::Span<const StepTensor> tensors,
                 StepCounts* counts) { k.adamax_step(c, kAdam, scalars, tensors, counts); });
}

// More tensors than one launch takes, with sizes below and above a block's, some empty, each with its own scale.
TEST_F(CudaOptimizerStepTest, ManyTensors) {
  constexpr int64_t kTensors = 75;
  TestRandom random(3);
  const auto size = [](int64_t i) { return i % 7 == 3 ? 0 : i % 5 == 0 ? 9000 + i : 10 * i + 1; };
  int64_t all = 0;
  for (int64_t i = 0; i < kTensors; ++i) all += size(i);
  Both<float> weight = Uniform(random, all), gradient = Uniform(random, all);
  Both<int64_t> counts(gpu_, 2 * kTensors);
  Both<double> squares(gpu_, std::vector<double>(kTensors, 1.0));
  Scalars scalars = ScalarsOf({});
  OnBoth([&](ExecContext& c, const Kernels& k) {
    std::vector<StepTensor> tensors;
    int64_t first = 0;
    for (int64_t i = 0; i < kTensors; ++i) {
      const StepArgs args = {.weight_scale = 1 + 0.25f * static_cast<float>(i), .clip = i % 2 == 0 ? 1.0f : kInfinity};
      tensors.push_back(args.Tensor(gradient.on(c) + first, weight.on(c) + first, nullptr, nullptr, size(i)));
      first += size(i);
    }
    k.prepare_step(c, squares.on(c), nullptr, 2, tensors, scalars.on(c), CountsOn(counts, c));
    k.sgd_step(c, 0.0f, false, scalars.on(c), tensors, CountsOn(counts, c));
  });
  ExpectSame(weight);
  ExpectSame(counts);
  ExpectSame(scalars.values);
}

// The ones of each row, which the GPU's products use. The CPU's do not need them.
TEST_F(CudaOptimizerStepTest, CountsTheOnesOfSigns) {
  TestRandom random(4);
  for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 700}, {70, 130}, {300, 5}}) {
    for (const int32_t failed : {0, 1}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << cols << ", failed " << failed);
      Both<float> weight = Uniform(random, rows * cols), gradient(gpu_, std::vector<float>(rows * cols, 0.0f));
      BitMatrix signs = BitMatrix::WithOnes(rows, cols, gpu_.allocator());
      const std::vector<int32_t> before(rows, 7);
      gpu_.Upload(signs.mutable_view().ones, before.data(), before.size() * sizeof(int32_t));
      Scalars scalars = ScalarsOf({}, failed);
      Both<int64_t> counts(gpu_, 2);
      Both<double> squares(gpu_, std::vector<double>{1.0});
      StepTensor tensor = StepArgs().Tensor(gradient.on(gpu_), weight.on(gpu_), nullptr, nullptr, rows * cols);
      tensor.signs = signs.mutable_view();
      const Kernels& k = KernelsFor(Device::kCuda);
      for (int step = 0; step < 2; ++step) {
        k.prepare_step(gpu_, squares.on(gpu_), nullptr, 0, {tensor}, scalars.on(gpu_), CountsOn(counts, gpu_));
        k.sgd_step(gpu_, 0.0f, false, scalars.on(gpu_), {tensor}, CountsOn(counts, gpu_));
      }
      std::vector<int32_t> ones(rows);
      gpu_.Download(ones.data(), signs.view().ones, ones.size() * sizeof(int32_t));
      for (int64_t i = 0; i < rows; ++i) {
        int32_t expected = 0;
        for (int64_t j = 0; j < cols; ++j) expected += weight.of_host()[i * cols + j] >= 0;
        ASSERT_EQ(ones[i], failed ? 7 : expected) << "row " << i;
      }
    }
  }
}

// A gradient or a loss that is not finite stops this update and all later ones.
TEST_F(CudaOptimizerStepTest, FailedStepsChangeNothing) {
  TestRandom random(5);
  for (const bool bad_loss : {false, true}) {
    Both<float> weight = Uniform(random, 100), m = Uniform(random, 100), v = Uniform(random, 100),
                gradient = Uniform(random, 100);
    const std::vector<float> before = weight.of_host(), m_before = m.of_host();
    Both<double> squares(gpu_, std::vector<double>{2.0, bad_loss ? 3.0 : static_cast<double>(NAN)});
    Both<float> loss(gpu_, std::vector<float>{bad_loss ? kInfinity : 1.0f});
    Both<int64_t> counts(gpu_, std::vector<int64_t>{9, 9, 9, 9});
    Scalars scalars = ScalarsOf({});
    OnBoth([&](ExecContext& c, const Kernels& k) {
      const StepTensor tensor = StepArgs().Tensor(gradient.on(c), weight.on(c), m.on(c), v.on(c), 100);
      const std::vector<StepTensor> tensors = {tensor, tensor};
      k.prepare_step(c, squares.on(c), loss.on(c), 0, tensors, scalars.on(c), CountsOn(counts, c));
      k.sgd_step(c, 0.9f, true, scalars.on(c), tensors, CountsOn(counts, c));
      k.adam_step(c, kAdam, scalars.on(c), tensors, CountsOn(counts, c));
      k.adamax_step(c, kAdam, scalars.on(c), tensors, CountsOn(counts, c));
    });
    EXPECT_EQ(std::bit_cast<int32_t>(scalars.values.of_device()[2]), 1);
    EXPECT_EQ(weight.of_device(), before);
    EXPECT_EQ(m.of_device(), m_before);
    EXPECT_EQ(counts.of_device(), std::vector<int64_t>(4, 0));
    ExpectSame(counts);
  }
}

// Weights at zero, at minus zero, at the clip and beyond it; gradients that are NaN.
TEST_F(CudaOptimizerStepTest, Edges) {
  for (const float clip : {1.0f, kInfinity}) {
    const std::vector<float> weights = {0.0f, -0.0f, 1.0f, -1.0f, NAN, 3.0f, -kInfinity, 0.5f, 0.5f, 1e-45f};
    const std::vector<float> gradients = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, NAN, kInfinity, 1.0f};
    const int64_t n = static_cast<int64_t>(weights.size());
    Both<float> weight(gpu_, weights), gradient(gpu_, gradients);
    Both<float> m(gpu_, std::vector<float>(n, 0.0f)), v(gpu_, m.of_host());
    Both<int64_t> counts(gpu_, std::vector<int64_t>{0, 0});
    BothBits signs(gpu_, 1, n);
    const StepArgs args = {.rate = 1, .clip = clip};
    Scalars scalars = ScalarsOf(args);
    Both<int64_t> more_counts(gpu_, std::vector<int64_t>{0, 0});
    OnBoth([&](ExecContext& c, const Kernels& k) {
      StepTensor tensor = args.Tensor(gradient.on(c), weight.on(c), nullptr, nullptr, n);
      tensor.signs = signs.on(c);
      k.sgd_step(c, 0, false, scalars.on(c), {tensor}, CountsOn(counts, c));
    });
    ExpectClose(weight, 0);
    ExpectSame(counts);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      StepTensor tensor = args.Tensor(gradient.on(c), weight.on(c), m.on(c), v.on(c), n);
      tensor.signs = signs.on(c);
      k.adamax_step(c, {.beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-8f}, scalars.on(c), {tensor},
                    CountsOn(more_counts, c));
    });
    ExpectClose(weight, 0);  // NaNs may differ in their bits.
    ExpectClose(v, 0);
    ExpectSame(signs);
    ExpectSame(more_counts);
  }
}

}  // namespace
}  // namespace bitgrad
