#include "bitgrad/tests/reference/optimizer_step.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMomentum = 0.9f;
constexpr AdamArgs kAdam = {.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f};

using reference::StepArgs;
using reference::StepElement;
using Tensors = absl::Span<const StepTensor>;

// The magnitudes of random operands.
struct Operands {
  float gradient, weight, first, lowest_second;
};
// Every number of a step stays so small that the formula in double is near.
constexpr Operands kSmall = {.gradient = 1, .weight = 1, .first = 1, .lowest_second = 0.01f};
constexpr Operands kWide = {.gradient = 2, .weight = 0.6f, .first = 2, .lowest_second = 0};

class OptimizerStepTest : public KernelTest {
 protected:
  using Step =
      std::function<void(ExecContext&, const Kernels&, const RuleNumbers*, const StepScalars*, Tensors, StepCounts*)>;

  // What PrepareStep() overwrites is garbage.
  static std::vector<StepScalars> Garbage(int32_t failed = 0) { return {{.gradient_scale = 7, .failed = failed}}; }

  static void ExpectCounts(const StepCounts& counts, int64_t sign_flips, int64_t at_clip) {
    EXPECT_EQ(counts.sign_flips, sign_flips);
    EXPECT_EQ(counts.at_clip, at_clip);
  }

  // Takes two steps over [rows, cols] with as many slots as `step` needs. All results are those of
  // reference(args, g, first, second, w) in float, to the last bit, and those of a first step over small operands are
  // near those in double.
  template <typename Reference>
  void Check(int64_t rows, int64_t cols, const StepArgs& args, const Operands& operands, bool with_signs, int slots,
             const Step& step, const Reference& reference) {
    SCOPED_TRACE(testing::Message() << rows << " x " << cols << (with_signs ? " with signs" : "") << ", rate "
                                    << args.rate << ", bounds " << args.least << ", " << args.most);
    Random random(1);
    const int64_t n = rows * cols;
    const auto symmetric = [&](float limit) { return RandomVector(random, n, -limit, limit); };
    const Array<float> gradient(*this, symmetric(operands.gradient)), weight(*this, symmetric(operands.weight));
    const Array<float> first(*this, symmetric(operands.first));
    const Array<float> second(*this, RandomVector(random, n, operands.lowest_second, 1));
    // The norm of all gradients is 1.
    const Array<double> squares(*this, std::vector<double>{1.0});
    const double max_norm = args.gradient_scale == 1 ? 0 : static_cast<double>(args.gradient_scale);
    const Array<StepScalars> scalars(*this, Garbage());
    const Array<RuleNumbers> rate(*this, std::vector<RuleNumbers>{{args.rate, kMomentum}});
    const Array<StepCounts> counts(*this, 1);
    const BitArray signs(*this, rows, cols);

    std::vector<float> w = weight.initial(), m = first.initial(), v = second.initial();
    for (int t = 0; t < 2; ++t) {
      const bool is_near_exact = t == 0 && &operands == &kSmall;
      Run([&](ExecContext& c, const Kernels& k) {
        StepTensor tensor = args.Tensor(gradient.on(c), weight.on(c), slots > 0 ? first.on(c) : nullptr,
                                        slots > 1 ? second.on(c) : nullptr, n);
        if (with_signs) tensor.signs = signs.on(c);
        k.prepare_step(c, squares.on(c), nullptr, max_norm, {tensor}, scalars.on(c), counts.on(c));
        step(c, k, rate.on(c), scalars.on(c), {tensor}, counts.on(c));
      });
      std::vector<StepElement<double>> exact(is_near_exact ? n : 0);
      int64_t sign_flips = 0, at_clip = 0;
      for (int64_t i = 0; i < n; ++i) {
        if (is_near_exact)
          exact[i] = reference(args, static_cast<double>(gradient.initial(i)), static_cast<double>(m[i]),
                               static_cast<double>(v[i]), static_cast<double>(w[i]));
        const StepElement<float> expected = reference(args, gradient.initial(i), m[i], v[i], w[i]);
        sign_flips += (expected.weight >= 0) != (w[i] >= 0);
        at_clip += args.AtClip(expected.weight);
        w[i] = expected.weight;
        if (slots > 0) m[i] = expected.state1;
        if (slots > 1) v[i] = expected.state2;
      }
      ExpectValues(weight, [&](int64_t i) { return w[i]; });
      ExpectValues(first, [&](int64_t i) { return m[i]; });
      ExpectValues(second, [&](int64_t i) { return v[i]; });
      if (is_near_exact) {
        // Some ten roundings of numbers below 4.
        const auto tolerance = [](int64_t) { return 10 * 4 * kRoundingError; };
        ExpectNear(
            weight, n, [&](int64_t i) { return exact[i].weight; }, tolerance);
        if (slots > 0)
          ExpectNear(
              first, n, [&](int64_t i) { return exact[i].state1; }, tolerance);
        if (slots > 1)
          ExpectNear(
              second, n, [&](int64_t i) { return exact[i].state2; }, tolerance);
      }
      ExpectCounts(counts.values()[0], sign_flips, at_clip);
      if (n > 4000 && t == 0) {
        EXPECT_GT(sign_flips, 0);
        EXPECT_EQ(at_clip > 0, std::isfinite(args.least) || std::isfinite(args.most));
      }
      const StepScalars after = scalars.values()[0];
      EXPECT_EQ(after.gradient_scale, args.gradient_scale);
      EXPECT_EQ(after.failed, 0);
      if (with_signs) ExpectBits(signs, [&](int64_t i, int64_t j) { return w[i * cols + j] >= 0; });
    }
  }

  // Sizes around pieces of 128 elements, words, padding, and the work of one block, with and without a clip and signs.
  template <typename Reference>
  void CheckAll(int slots, const Step& step, const Reference& reference) {
    const auto check = [&](int64_t rows, int64_t cols, const StepArgs& args, const Operands& operands,
                           bool with_signs) { Check(rows, cols, args, operands, with_signs, slots, step, reference); };
    for (const int64_t n : Counts()) {
      check(1, n, {.rate = 0.1f}, kSmall, false);
      const StepArgs args = {.rate = 0.5f, .gradient_scale = 0.5f, .weight_decay = 0.01f, .weight_scale = 3};
      check(1, n, args.WithClip(1), kSmall, false);
    }
    std::vector<std::pair<int64_t, int64_t>> shapes = Shapes();
    for (const int64_t n : Counts()) shapes.push_back({1, n});
    shapes.insert(shapes.end(), {{0, 5}, {1, 33}, {3, 1}, {33, 65}, {2, 1000}});
    shapes.insert(shapes.end(), {{2, 511}, {2, 512}, {3, 513}, {9, 128}, {5, 0}, {70, 130}});
    std::sort(shapes.begin(), shapes.end());
    shapes.erase(std::unique(shapes.begin(), shapes.end()), shapes.end());
    for (const auto& [rows, cols] : shapes) {
      const bool large = rows * cols > 20000;  // Once is enough: references take long.
      for (const auto& [least, most] : std::vector<std::pair<float, float>>{
               {-0.5f, 0.5f}, {-kInfinity, kInfinity}, {0.125f, 0.5f}, {-0.25f, kInfinity}, {-kInfinity, 0.25f}}) {
        if (large && least != -0.5f) continue;
        const bool symmetric = least == -most;
        if (!symmetric && rows * cols > 600) continue;
        const StepArgs args = {.rate = 0.1f,
                               .gradient_scale = 0.9f,
                               .weight_decay = 0.01f,
                               .weight_scale = 1.5f,
                               .least = least,
                               .most = most};
        if (!large) check(rows, cols, args, kWide, false);
        check(rows, cols, args, kWide, true);
      }
    }
  }
};

TEST_P(OptimizerStepTest, Sgd) {
  CheckAll(
      0, [](ExecContext& c, const Kernels& k, auto... args) { k.sgd_step(c, false, args...); },
      [](const StepArgs& args, auto g, auto, auto, auto w) { return reference::PlainSgd(args, g, w); });
}

TEST_P(OptimizerStepTest, Momentum) {
  for (const bool nesterov : {false, true}) {
    CheckAll(
        1, [&](ExecContext& c, const Kernels& k, auto... args) { k.sgd_step(c, nesterov, args...); },
        [&](const StepArgs& args, auto g, auto velocity, auto, auto w) {
          return reference::Momentum(args, 0.9f, nesterov, g, velocity, w);
        });
  }
}

TEST_P(OptimizerStepTest, Adam) {
  CheckAll(
      2, [](ExecContext& c, const Kernels& k, auto... args) { k.adam_step(c, kAdam, args...); },
      [](const StepArgs& args, auto g, auto m, auto v, auto w) { return reference::Adam(args, kAdam, g, m, v, w); });
}

TEST_P(OptimizerStepTest, AdaMax) {
  CheckAll(
      2, [](ExecContext& c, const Kernels& k, auto... args) { k.adamax_step(c, kAdam, args...); },
      [](const StepArgs& args, auto g, auto m, auto v, auto w) { return reference::AdaMax(args, kAdam, g, m, v, w); });
}

TEST_P(OptimizerStepTest, ShiftAdaMax) {
  for (const bool keeps_divisor : {false, true}) {
    CheckAll(
        2,
        [&](ExecContext& c, const Kernels& k, auto... args) { k.shift_adamax_step(c, kAdam, keeps_divisor, args...); },
        [&](const StepArgs& args, auto g, auto m, auto v, auto w) {
          return reference::ShiftAdaMax(args, kAdam, keeps_divisor, g, m, v, w);
        });
  }
}

// Weights that are not -1 or +1 become so in the first of the two steps.
TEST_P(OptimizerStepTest, Bop) {
  for (const float threshold : {0.0f, 0.3f}) {
    CheckAll(
        1, [&](ExecContext& c, const Kernels& k, auto... args) { k.bop_step(c, threshold, args...); },
        [&](const StepArgs& args, auto g, auto m, auto, auto w) { return reference::Bop(args, threshold, g, m, w); });
  }
}

// A moving average at the threshold, or of 0, flips nothing.
TEST_P(OptimizerStepTest, BopFlipsBeyondTheThreshold) {
  const float tau = 0.25f, above = std::nextafter(tau, 1.0f);
  const std::vector<float> m = {tau, tau, -tau, -tau, above, above, -above, -above, 0.0f, -0.0f, 0.0f, NAN};
  const std::vector<float> w = {1, -1, 1, -1, 1, -1, 1, -1, 1, 1, -1, 1};
  const std::vector<float> expected = {1, -1, 1, -1, -1, -1, 1, 1, 1, 1, -1, 1};
  const auto n = static_cast<int64_t>(m.size());
  // With a rate of 1 the average is the gradient.
  const Array<float> gradient(*this, m), average(*this, std::vector<float>(n, 5.0f)), weight(*this, w);
  const Array<double> squares(*this, std::vector<double>{1.0});
  const Array<StepScalars> scalars(*this, Garbage());
  const Array<RuleNumbers> rate(*this, std::vector<RuleNumbers>{{1, kMomentum}});
  const Array<StepCounts> counts(*this, 1);
  Run([&](ExecContext& c, const Kernels& k) {
    const StepTensor tensor = StepArgs().Tensor(gradient.on(c), weight.on(c), average.on(c), nullptr, n);
    k.prepare_step(c, squares.on(c), nullptr, 0, {tensor}, scalars.on(c), counts.on(c));
    k.bop_step(c, tau, rate.on(c), scalars.on(c), {tensor}, counts.on(c));
  });
  ExpectValues(weight, [&](int64_t i) { return expected[i]; });
  ExpectCounts(counts.values()[0], 2, 0);
}

TEST_P(OptimizerStepTest, NanIsKept) {
  const StepArgs args = StepArgs{.rate = 1}.WithClip(1);
  const Array<float> g(*this, std::vector<float>(20, NAN)), w(*this, std::vector<float>(20, 0.5f));
  const Array<float> u(*this, w.initial()), m(*this, std::vector<float>(20)), v(*this, std::vector<float>(20));
  const Array<double> squares(*this, std::vector<double>{1.0});
  const Array<StepScalars> scalars(*this, Garbage());
  const Array<RuleNumbers> rate(*this, std::vector<RuleNumbers>{{args.rate, kMomentum}});
  const Array<StepCounts> counts(*this, 1);
  Run([&](ExecContext& c, const Kernels& k) {
    const StepTensor plain = args.Tensor(g.on(c), w.on(c), nullptr, nullptr, 20);
    k.prepare_step(c, squares.on(c), nullptr, 0, {plain}, scalars.on(c), counts.on(c));
    k.sgd_step(c, false, rate.on(c), scalars.on(c), {plain}, counts.on(c));
    const StepTensor with_slots = args.Tensor(g.on(c), u.on(c), m.on(c), v.on(c), 20);
    k.prepare_step(c, squares.on(c), nullptr, 0, {with_slots}, scalars.on(c), counts.on(c));
    k.adamax_step(c, kAdam, rate.on(c), scalars.on(c), {with_slots}, counts.on(c));
  });
  for (const Array<float>* array : {&w, &u, &v}) ExpectValues(*array, [](int64_t) { return NAN; });
}

TEST_P(OptimizerStepTest, AnInfiniteClipIsNeverReached) {
  const StepArgs args = {.rate = 1};
  const Array<float> g(*this, std::vector<float>(20, -kInfinity)), w(*this, std::vector<float>(20, 0.5f));
  const Array<double> squares(*this, std::vector<double>{1.0});
  const Array<StepScalars> scalars(*this, Garbage());
  const Array<RuleNumbers> rate(*this, std::vector<RuleNumbers>{{args.rate, kMomentum}});
  const Array<StepCounts> counts(*this, 1);
  Run([&](ExecContext& c, const Kernels& k) {
    const StepTensor tensor = args.Tensor(g.on(c), w.on(c), nullptr, nullptr, 20);
    k.prepare_step(c, squares.on(c), nullptr, 0, {tensor}, scalars.on(c), counts.on(c));
    k.sgd_step(c, false, rate.on(c), scalars.on(c), {tensor}, counts.on(c));
  });
  ExpectValues(w, [](int64_t) { return kInfinity; });
  ExpectCounts(counts.values()[0], 0, 0);
}

// More tensors than one launch takes, with sizes below and above a block's, some empty, each with its own weight decay,
// scale and clip.
TEST_P(OptimizerStepTest, ManyTensors) {
  constexpr int64_t kTensors = 75;
  Random random(3);
  const auto size = [](int64_t i) { return i % 7 == 3 ? 0 : i % 5 == 0 ? 9000 + i : 10 * i + 1; };
  const auto args_of = [](int64_t i) {
    const StepArgs args = {.gradient_scale = static_cast<float>(2 / std::sqrt(static_cast<double>(kTensors))),
                           .weight_decay = 0.01f * static_cast<float>(i % 3),
                           .weight_scale = 1 + 0.25f * static_cast<float>(i)};
    return args.WithClip(i % 2 == 0 ? 1.0f : kInfinity);
  };
  int64_t all = 0;
  for (int64_t i = 0; i < kTensors; ++i) all += size(i);
  const Array<float> weight(*this, RandomVector(random, all)), gradient(*this, RandomVector(random, all));
  const Array<double> squares(*this, std::vector<double>(kTensors, 1.0));
  const Array<StepScalars> scalars(*this, Garbage());
  const Array<RuleNumbers> rate(*this, std::vector<RuleNumbers>{{StepArgs().rate, kMomentum}});
  const Array<StepCounts> counts(*this, kTensors);
  Run([&](ExecContext& c, const Kernels& k) {
    std::vector<StepTensor> tensors;
    int64_t first = 0;
    for (int64_t i = 0; i < kTensors; ++i) {
      tensors.push_back(args_of(i).Tensor(gradient.on(c) + first, weight.on(c) + first, nullptr, nullptr, size(i)));
      first += size(i);
    }
    k.prepare_step(c, squares.on(c), nullptr, 2, tensors, scalars.on(c), counts.on(c));
    k.sgd_step(c, false, rate.on(c), scalars.on(c), tensors, counts.on(c));
  });
  std::vector<float> expected;
  for (int64_t i = 0; i < kTensors; ++i) {
    SCOPED_TRACE(testing::Message() << "tensor " << i);
    const StepArgs args = args_of(i);
    int64_t sign_flips = 0, at_clip = 0;
    for (int64_t j = 0; j < size(i); ++j) {
      const float w = weight.initial(static_cast<int64_t>(expected.size()));
      const float g = gradient.initial(static_cast<int64_t>(expected.size()));
      expected.push_back(reference::PlainSgd(args, g, w).weight);
      sign_flips += (expected.back() >= 0) != (w >= 0);
      at_clip += args.AtClip(expected.back());
    }
    ExpectCounts(counts.values()[i], sign_flips, at_clip);
  }
  ExpectValues(weight, [&](int64_t i) { return expected[i]; });
  EXPECT_EQ(scalars.values()[0].gradient_scale, args_of(0).gradient_scale);
  EXPECT_EQ(scalars.values()[0].failed, 0);
}

// The ones of each row, which the GPU's products use.
TEST_P(OptimizerStepTest, CountsTheOnesOfSigns) {
  if (GetParam().device == Device::kCpu) GTEST_SKIP() << "the CPU's products do not need the ones";
  ExecContext& c = *contexts()[0];
  const Kernels& k = *GetParam().kernels;
  Random random(4);
  for (const auto& [rows, cols] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 700}, {70, 130}, {300, 5}}) {
    for (const int32_t failed : {0, 1}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << cols << ", failed " << failed);
      const Array<float> weight(*this, RandomVector(random, rows * cols));
      const Array<float> gradient(*this, std::vector<float>(rows * cols, 0.0f));
      BitMatrix signs = BitMatrix::WithOnes(rows, cols, c.allocator());
      const std::vector<int32_t> before(rows, 7);
      c.Upload(signs.mutable_view().ones, before.data(), before.size() * sizeof(int32_t));
      const Array<StepScalars> scalars(*this, Garbage(failed));
      const Array<RuleNumbers> rate(*this, std::vector<RuleNumbers>{{1, kMomentum}});
      const Array<StepCounts> counts(*this, 1);
      const Array<double> squares(*this, std::vector<double>{1.0});
      StepTensor tensor = StepArgs().Tensor(gradient.on(c), weight.on(c), nullptr, nullptr, rows * cols);
      tensor.signs = signs.mutable_view();
      for (int step = 0; step < 2; ++step) {
        k.prepare_step(c, squares.on(c), nullptr, 0, {tensor}, scalars.on(c), counts.on(c));
        k.sgd_step(c, false, rate.on(c), scalars.on(c), {tensor}, counts.on(c));
      }
      std::vector<int32_t> ones(rows);
      c.Download(ones.data(), signs.view().ones, ones.size() * sizeof(int32_t));
      for (int64_t i = 0; i < rows; ++i) {
        int32_t expected = 0;
        for (int64_t j = 0; j < cols; ++j) expected += weight.initial(i * cols + j) >= 0;
        ASSERT_EQ(ones[i], failed ? 7 : expected) << "row " << i;
      }
    }
  }
}

// A gradient or a loss that is not finite, or an earlier failure, stops this update and all later ones.
TEST_P(OptimizerStepTest, AFailedStepChangesNothing) {
  struct Failure {
    double square;
    float loss;
    int32_t failed;
  };
  Random random(5);
  for (const Failure& failure : {Failure{NAN, 1, 0}, Failure{3, kInfinity, 0}, Failure{3, 1, 1}}) {
    SCOPED_TRACE(testing::Message() << failure.square << ", loss " << failure.loss << ", failed " << failure.failed);
    const Array<float> weight(*this, RandomVector(random, 100)), m(*this, RandomVector(random, 100));
    const Array<float> v(*this, RandomVector(random, 100)), gradient(*this, RandomVector(random, 100));
    const Array<double> squares(*this, {2.0, failure.square});
    const Array<float> loss(*this, std::vector<float>{failure.loss});
    const Array<StepScalars> scalars(*this, Garbage(failure.failed));
    const Array<RuleNumbers> rate(*this, std::vector<RuleNumbers>{{1, kMomentum}});
    const Array<StepCounts> counts(*this, std::vector<StepCounts>(2, {9, 9}));
    Run([&](ExecContext& c, const Kernels& k) {
      const StepTensor tensor = StepArgs().Tensor(gradient.on(c), weight.on(c), m.on(c), v.on(c), 100);
      const std::vector<StepTensor> tensors = {tensor, tensor};
      k.prepare_step(c, squares.on(c), loss.on(c), 0, tensors, scalars.on(c), counts.on(c));
      k.sgd_step(c, true, rate.on(c), scalars.on(c), tensors, counts.on(c));
      k.adam_step(c, kAdam, rate.on(c), scalars.on(c), tensors, counts.on(c));
      k.adamax_step(c, kAdam, rate.on(c), scalars.on(c), tensors, counts.on(c));
      k.shift_adamax_step(c, kAdam, true, rate.on(c), scalars.on(c), tensors, counts.on(c));
      k.bop_step(c, 0.0f, rate.on(c), scalars.on(c), tensors, counts.on(c));
    });
    EXPECT_EQ(scalars.values()[0].failed, 1);
    EXPECT_EQ(weight.values(), weight.initial());
    EXPECT_EQ(m.values(), m.initial());
    EXPECT_EQ(v.values(), v.initial());
    for (const StepCounts& count : counts.values()) ExpectCounts(count, 0, 0);
  }
}

TEST_P(OptimizerStepTest, PreparesAStep) {
  const std::vector<StepTensor> tensors(2, StepArgs().Tensor(nullptr, nullptr, nullptr, nullptr, 0));
  const auto prepare = [&](std::vector<double> square_values, double max_norm, float loss_value, int32_t failed = 0) {
    const Array<StepScalars> scalars(*this, std::vector<StepScalars>{{.gradient_scale = -1, .failed = failed}});
    const Array<StepCounts> counts(*this, std::vector<StepCounts>{{5, 6}, {7, 8}});
    const Array<double> squares(*this, std::move(square_values));
    const Array<float> loss(*this, std::vector<float>{loss_value});
    Run([&](ExecContext& c, const Kernels& k) {
      k.prepare_step(c, squares.on(c), loss.on(c), max_norm, tensors, scalars.on(c), counts.on(c));
    });
    for (const StepCounts& count : counts.values()) ExpectCounts(count, 0, 0);
    return scalars.values()[0];
  };
  EXPECT_EQ(prepare({9, 16}, 0, 1).gradient_scale, 1);
  EXPECT_EQ(prepare({9, 16}, 2, 1).gradient_scale, 0.4f);
  EXPECT_EQ(prepare({9, 16}, 5, 1).gradient_scale, 1);
  EXPECT_EQ(prepare({9, 16}, 2, 1).failed, 0);
  EXPECT_EQ(prepare({9, 16}, 2, 1, 1).failed, 1);  // it stays set
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_EQ(prepare({9, 16}, 0, bad).failed, 1);
    EXPECT_EQ(prepare({9, bad}, 0, 1).failed, 1);
  }
}

// Weights at zero, at minus zero, at the clip and beyond it; gradients that are NaN.
TEST_P(OptimizerStepTest, Edges) {
  constexpr AdamArgs kFaster = {.beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-8f};
  for (const float clip : {1.0f, kInfinity}) {
    SCOPED_TRACE(clip);
    std::vector<float> w = {0.0f, -0.0f, 1.0f, -1.0f, NAN, 3.0f, -kInfinity, 0.5f, 0.5f, 1e-45f};
    const std::vector<float> g = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, NAN, kInfinity, 1.0f};
    const int64_t n = static_cast<int64_t>(w.size());
    const Array<float> weight(*this, w), gradient(*this, g);
    const Array<float> m(*this, std::vector<float>(n, 0.0f)), v(*this, std::vector<float>(n, 0.0f));
    const StepArgs args = StepArgs{.rate = 1}.WithClip(clip);
    const Array<double> squares(*this, std::vector<double>{1.0});
    const Array<StepScalars> scalars(*this, Garbage());
    const Array<RuleNumbers> rate(*this, std::vector<RuleNumbers>{{args.rate, kMomentum}});
    const Array<StepCounts> counts(*this, 1);
    const BitArray signs(*this, 1, n);
    for (const bool adamax : {false, true}) {
      SCOPED_TRACE(adamax ? "AdaMax" : "SGD");
      Run([&](ExecContext& c, const Kernels& k) {
        StepTensor tensor =
            args.Tensor(gradient.on(c), weight.on(c), adamax ? m.on(c) : nullptr, adamax ? v.on(c) : nullptr, n);
        tensor.signs = signs.on(c);
        k.prepare_step(c, squares.on(c), nullptr, 0, {tensor}, scalars.on(c), counts.on(c));
        if (adamax) {
          k.adamax_step(c, kFaster, rate.on(c), scalars.on(c), {tensor}, counts.on(c));
        } else {
          k.sgd_step(c, false, rate.on(c), scalars.on(c), {tensor}, counts.on(c));
        }
      });
      std::vector<StepElement<float>> expected;
      int64_t sign_flips = 0, at_clip = 0;
      for (int64_t i = 0; i < n; ++i) {
        expected.push_back(adamax ? reference::AdaMax(args, kFaster, g[i], 0.0f, 0.0f, w[i])
                                  : reference::PlainSgd(args, g[i], w[i]));
        sign_flips += (expected[i].weight >= 0) != (w[i] >= 0);
        at_clip += args.AtClip(expected[i].weight);
        w[i] = expected[i].weight;
      }
      ExpectValues(weight, [&](int64_t i) { return expected[i].weight; });
      if (adamax) ExpectValues(m, [&](int64_t i) { return expected[i].state1; });
      if (adamax) ExpectValues(v, [&](int64_t i) { return expected[i].state2; });
      ExpectBits(signs, [&](int64_t, int64_t j) { return w[j] >= 0; });
      ExpectCounts(counts.values()[0], sign_flips, at_clip);
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(OptimizerStepTest);

}  // namespace
}  // namespace bitgrad
