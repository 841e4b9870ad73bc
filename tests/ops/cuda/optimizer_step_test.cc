#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Weights, gradients and two slots on both sides, for some steps of an optimizer.
class CudaOptimizerStepTest : public CudaTest {
 protected:
  struct State {
    Both<float> gradient, first, second, weight;
    Both<int64_t> counts;
    StepCounts* counts_on(const ExecContext& c) { return reinterpret_cast<StepCounts*>(counts.on(c)); }
  };
  using Step = std::function<void(ExecContext&, const Kernels&, const StepArgs&, State&, int64_t count, int64_t t)>;

  // Two steps over [rows, cols], with and without signs and a clip: everything to the last bit.
  void Check(int64_t rows, int64_t cols, const Step& step) {
    TestRandom random(1);
    for (const bool with_signs : {false, true}) {
      for (const float clip : {kInfinity, 0.5f}) {
        SCOPED_TRACE(testing::Message() << rows << " x " << cols << (with_signs ? " with signs" : "") << ", clip "
                                        << clip);
        const int64_t n = rows * cols;
        State state = {Uniform(random, n), Uniform(random, n), Uniform(random, n, 0, 1),
                       Uniform(random, n, -0.6f, 0.6f), Both<int64_t>(gpu_, 2)};
        BothBits signs(gpu_, rows, cols);
        for (int64_t t = 1; t <= 2; ++t) {
          OnBoth([&](ExecContext& c, const Kernels& k) {
            StepArgs args = {.learning_rate = 0.1f, .gradient_scale = 0.9f, .weight_decay = 0.01f, .weight_scale = 1.5f,
                             .clip = clip};
            if (with_signs) args.signs = signs.on(c);
            step(c, k, args, state, n, t);
          });
          ExpectSame(state.weight);
          ExpectSame(state.first);
          ExpectSame(state.second);
          ExpectSame(state.counts);
          ExpectSame(signs);
        }
      }
    }
  }

  // Around pieces of 128 elements, words, padding, and what one block does.
  void CheckAll(const Step& step) {
    for (const int64_t n : Counts()) Check(1, n, step);
    for (const auto& [m, n] : Shapes()) Check(m, n, step);
    const std::vector<std::pair<int64_t, int64_t>> more = {{2, 511}, {2, 512}, {3, 513}, {9, 128}, {5, 0}};
    for (const auto& [m, n] : more) Check(m, n, step);
  }
};

TEST_F(CudaOptimizerStepTest, Sgd) {
  CheckAll([](ExecContext& c, const Kernels& k, const StepArgs& args, State& s, int64_t n, int64_t) {
    k.sgd_step(c, args, 0.0f, false, s.gradient.on(c), nullptr, s.weight.on(c), n, s.counts_on(c));
  });
}

TEST_F(CudaOptimizerStepTest, Momentum) {
  for (const bool nesterov : {false, true}) {
    CheckAll([&](ExecContext& c, const Kernels& k, const StepArgs& args, State& s, int64_t n, int64_t) {
      k.sgd_step(c, args, 0.9f, nesterov, s.gradient.on(c), s.first.on(c), s.weight.on(c), n, s.counts_on(c));
    });
  }
}

TEST_F(CudaOptimizerStepTest, Adam) {
  CheckAll([](ExecContext& c, const Kernels& k, const StepArgs& args, State& s, int64_t n, int64_t t) {
    const AdamArgs adam = {.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .t = t};
    k.adam_step(c, args, adam, s.gradient.on(c), s.first.on(c), s.second.on(c), s.weight.on(c), n, s.counts_on(c));
  });
}

TEST_F(CudaOptimizerStepTest, AdaMax) {
  CheckAll([](ExecContext& c, const Kernels& k, const StepArgs& args, State& s, int64_t n, int64_t t) {
    const AdamArgs adam = {.beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .t = t};
    k.adamax_step(c, args, adam, s.gradient.on(c), s.first.on(c), s.second.on(c), s.weight.on(c), n, s.counts_on(c));
  });
}

// Weights at zero, minus zero, the clip and beyond; gradients that are no numbers.
TEST_F(CudaOptimizerStepTest, Edges) {
  for (const float clip : {1.0f, kInfinity}) {
    const std::vector<float> weights = {0.0f, -0.0f, 1.0f, -1.0f, NAN, 3.0f, -kInfinity, 0.5f, 0.5f, 1e-45f};
    const std::vector<float> gradients = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, NAN, kInfinity, 1.0f};
    const int64_t n = static_cast<int64_t>(weights.size());
    Both<float> weight(gpu_, weights), gradient(gpu_, gradients);
    Both<float> m(gpu_, std::vector<float>(n, 0.0f)), v(gpu_, m.of_host());
    Both<int64_t> counts(gpu_, 2);
    BothBits signs(gpu_, 1, n);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      const StepArgs args = {.learning_rate = 1, .gradient_scale = 1, .weight_decay = 0, .weight_scale = 1,
                             .clip = clip, .signs = signs.on(c)};
      StepCounts* const step_counts = reinterpret_cast<StepCounts*>(counts.on(c));
      k.sgd_step(c, args, 0, false, gradient.on(c), nullptr, weight.on(c), n, step_counts);
    });
    ExpectClose(weight, 0);
    ExpectSame(counts);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      const StepArgs args = {.learning_rate = 1, .gradient_scale = 1, .weight_decay = 0, .weight_scale = 1,
                             .clip = clip, .signs = signs.on(c)};
      StepCounts* const step_counts = reinterpret_cast<StepCounts*>(counts.on(c));
      k.adamax_step(c, args, {.beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-8f, .t = 1}, gradient.on(c), m.on(c),
                    v.on(c), weight.on(c), n, step_counts);
    });
    ExpectClose(weight, 0);  // NaNs may differ in their bits.
    ExpectClose(v, 0);
    ExpectSame(signs);
    ExpectSame(counts);
  }
}

}  // namespace
}  // namespace bitgrad
