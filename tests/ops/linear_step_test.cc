// What a linear op with binary operands keeps, reads and draws in a training step: pending batch norms, signs that
// travel with the weight, samples, memory.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/ops/linear_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// ---- Batch norm in front ----------------------------------------------------------------------------

// A binary layer takes the signs from batch norm's input, without its output. That changes no bit of any result.
TEST(LinearAfterBatchNormTest, SameBitsWithAndWithoutTheValue) {
  for (const char* quantizer : {"sign", "stochastic_sign", "approx_sign", "k_bit(2)"}) {
    TestRandom random(37);
    SCOPED_TRACE(quantizer + (", " + random.ToString()));
    const Tensor x = random.UniformTensor({9, 70}, -3, 3), r = random.UniformTensor({9, 5});
    std::vector<Tensor> results[2];
    for (const bool read : {false, true}) {
      ExecContext context({.threads = 1, .seed = kSeed});
      TestRandom values(38);
      Parameter w = MakeParameter("w", values.UniformTensor({5, 70}));
      Parameter gamma = MakeParameter("gamma", values.UniformTensor({70})),
                beta = MakeParameter("beta", values.UniformTensor({70}));
      Parameter mean = MakeParameter("mean", Filled({70}, 0)), variance = MakeParameter("variance", Filled({70}, 1));
      Tape tape(context);
      const Var input = tape.Differentiable(x);
      const Var h = ApplyBatchNorm(input, tape.Use(gamma), tape.Use(beta), mean, variance);
      const int64_t before = static_cast<int64_t>(context.allocator().live_bytes());
      if (read) {
        ASSERT_TRUE(tape.Value(h).ok());
      }
      EXPECT_EQ(static_cast<int64_t>(context.allocator().live_bytes()) > before, read);
      const Var y = QuantizedLinear(h, tape.Use(w), {.input = Make(quantizer), .weight = Make("sign")});
      ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(r)))).ok()) << tape.status();
      ASSERT_EQ(tape.counters().size(), quantizer == std::string("approx_sign") ? 0u : 1u);
      results[read].push_back((*tape.Value(y))->Clone());
      results[read].push_back((*tape.Gradient(input))->Clone());
      for (Parameter* p : {&w, &gamma, &beta}) results[read].push_back(p->gradient.Clone());
    }
    for (size_t i = 0; i < results[0].size(); ++i) ExpectSameBits(results[0][i], results[1][i]);
  }
}

TEST(LinearAfterBatchNormTest, AValueReadLateIsThatOfTheForwardPass) {
  TestRandom random(39);
  BITGRAD_TRACE(random);
  ExecContext context({.threads = 1, .seed = kSeed});
  Parameter gamma = MakeParameter("gamma", Filled({8}, 1)), beta = MakeParameter("beta", Filled({8}, 0));
  Parameter mean = MakeParameter("mean", Filled({8}, 0)), variance = MakeParameter("variance", Filled({8}, 1));
  const Tensor x = random.UniformTensor({5, 8});
  std::vector<Tensor> values;
  for (const bool late : {false, true}) {
    Tape tape(context);
    const Var y = ApplyBatchNorm(tape.Input(x), tape.Use(gamma), tape.Use(beta), mean, variance);
    if (late) {
      // Changes the parameter after Backward(), as an optimizer does.
      for (float& v : gamma.value.mutable_span<float>()) v = 3;
    }
    values.push_back((*tape.Value(y))->Clone());
  }
  ExpectSameBits(values[0], values[1]);
}

// ---- Signs that travel with the weight ---------------------------------------------------------------

TEST(LinearSignsTest, AWeightKeepsItsBitsUntilItIsWritten) {
  TestRandom random(36);
  BITGRAD_TRACE(random);
  ExecContext context({.threads = 1, .seed = kSeed});
  const Tensor x = random.UniformTensor({4, 70});
  Parameter w = MakeParameter("w", random.UniformTensor({5, 70}));
  const auto run = [&](Mode mode) {
    Tape tape(context, mode);
    const Var y = QuantizedLinear(tape.Input(x), tape.Use(w), {.input = Make("sign"), .weight = Make("sign")});
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    return (*tape.Value(y))->Clone();
  };
  const Tensor evaluated = run(Mode::kEval);
  EXPECT_EQ(w.signs(), nullptr) << "an evaluation leaves no traces";
  const Tensor first = run(Mode::kTrain);
  ASSERT_NE(w.signs(), nullptr);
  const auto bits = w.signs();
  ExpectSameBits(run(Mode::kTrain), first);
  ExpectSameBits(evaluated, first);
  EXPECT_EQ(w.signs(), bits);
  // Inverts all signs, so that a stale bit would be noticed: in place, then by another value in place of the old one.
  const auto expect_product = [&](float factor) {
    EXPECT_EQ(w.signs(), nullptr);
    const Tensor y = run(Mode::kTrain);
    for (int64_t i = 0; i < y.num_elements(); ++i) ASSERT_EQ(y.data<float>()[i], factor * first.data<float>()[i]);
    EXPECT_NE(w.signs(), nullptr);
  };
  for (float& v : w.value.mutable_span<float>()) v = -v;
  expect_product(-1);
  Tensor other = w.value.Clone();
  for (float& v : other.mutable_span<float>()) v = -v;
  w.value = std::move(other);
  expect_product(1);
}

// ---- Stochastic quantizers ----------------------------------------------------------------------------

Tensor Identity(int64_t n) {
  Tensor identity = Tensor::Zeros({n, n});
  for (int64_t i = 0; i < n; ++i) identity.mutable_data<float>()[i * n + i] = 1;
  return identity;
}

TEST(LinearStochasticTest, OneSampleOfTheWeightsForForwardAndBackward) {
  for (const char* name : {"stochastic_sign", "stochastic_ternary"}) {
    TestRandom random(34);
    SCOPED_TRACE(name + (", " + random.ToString()));
    const int64_t k = 24;
    ExecContext context({.threads = 1, .seed = kSeed});
    const Tensor w = random.UniformTensor({k, k}, -1, 1);
    const Tensor identity = Identity(k);
    std::vector<std::vector<float>> samples;
    for (int step = 0; step < 3; ++step) {
      // y = I w_b^T shows the sample; dy = I in dx = dy w_b shows it again.
      Tape tape(context);
      const Var x = tape.Differentiable(identity);
      const Var y = QuantizedLinear(x, tape.Input(w), {.weight = Make(name)});
      const std::vector<float> forward = ValuesOf(**tape.Value(y));
      ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(identity)))).ok());
      const std::vector<float> backward = ValuesOf(**tape.Gradient(x));
      for (int64_t i = 0; i < k; ++i) {
        for (int64_t j = 0; j < k; ++j) ASSERT_EQ(forward[j * k + i], backward[i * k + j]);
      }
      samples.push_back(backward);
    }
    EXPECT_NE(samples[0], samples[1]);
    EXPECT_NE(samples[1], samples[2]);
    // The same step with the same seed draws the same numbers.
    context.set_step(0);
    Tape tape(context);
    const Var y = QuantizedLinear(tape.Input(identity), tape.Input(w), {.weight = Make(name)});
    const Tensor& value = **tape.Value(y);
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < k; ++j) {
        ASSERT_EQ(value.data<float>()[j * k + i], samples[0][i * k + j]);
      }
    }
  }
}

TEST(LinearStochasticTest, OperandsAndLayersDrawApart) {
  ExecContext context({.threads = 1, .seed = kSeed});
  const int64_t k = 64;
  const Tensor zeros = Filled({k, k}, 0);
  const Tensor identity = Identity(k);
  Tape tape(context);
  const Var first = QuantizedLinear(tape.Input(identity), tape.Input(zeros), {.weight = Make("stochastic_sign")});
  const Var second = QuantizedLinear(tape.Input(identity), tape.Input(zeros), {.weight = Make("stochastic_sign")});
  const Var input = QuantizedLinear(tape.Input(zeros), tape.Input(identity), {.input = Make("stochastic_sign")});
  const std::vector<float> a = ValuesOf(**tape.Value(first)), b = ValuesOf(**tape.Value(second)),
                           c = ValuesOf(**tape.Value(input));
  const auto agreements = [&](const std::vector<float>& p, const std::vector<float>& q, bool transposed) {
    int count = 0;
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < k; ++j) count += p[i * k + j] == q[transposed ? j * k + i : i * k + j];
    }
    return count;
  };
  // Fair coins: 2048 of 4096 agree, with a standard deviation of 32.
  EXPECT_NEAR(agreements(a, b, false), 2048, 5 * 32);
  EXPECT_NEAR(agreements(a, c, true), 2048, 5 * 32);
  EXPECT_NEAR(agreements(b, c, true), 2048, 5 * 32);
}

TEST(LinearStochasticTest, EvaluationUsesRealWeightsAndDeterministicActivations) {
  TestRandom random(35);
  BITGRAD_TRACE(random);
  const Tensor x = random.UniformTensor({6, 33}), w = random.UniformTensor({4, 33});
  const auto evaluate = [&](const ProductQuantizers& quantizers) {
    ExecContext context({.threads = 1, .seed = kSeed});
    Tape tape(context, Mode::kEval);
    const Var y = QuantizedLinear(tape.Input(x), tape.Input(w), quantizers);
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    return (*tape.Value(y))->Clone();
  };
  const Tensor plain = evaluate({});
  ExpectSameBits(evaluate({.weight = Make("stochastic_sign")}), plain);
  ExpectSameBits(evaluate({.weight = Make("stochastic_ternary")}), plain);
  const Tensor deterministic = evaluate({.input = Make("sign"), .weight = Make("sign")});
  ExpectSameBits(evaluate({.input = Make("stochastic_sign"), .weight = Make("sign")}), deterministic);
  ExpectSameBits(evaluate({.input = Make("stochastic_ternary"), .weight = Make("sign")}),
                 evaluate({.input = Make("ternary"), .weight = Make("sign")}));
  // Deterministic quantizers are what they are in training.
  for (const char* name : {"sign", "k_bit(2)", "dorefa_weight(1)", "ternary"}) {
    const ProductQuantizers quantizers{.input = Make("k_bit(8)"), .weight = Make(name)};
    ExpectSameBits(evaluate(quantizers), RunLinear(quantizers, x, w, Filled({6, 4}, 1)).y);
  }
}

TEST(LinearStochasticTest, SamplesHaveTheMeanOfTheirWeights) {
  // The input picks weights out: y = w_b summed over steps; E[w_b] = clip(w, -1, 1).
  const std::vector<float> w = {-2, -1, -0.75f, -0.25f, 0, 0.5f, 1, 3};
  const int64_t k = static_cast<int64_t>(w.size());
  constexpr int kSteps = 2000;
  for (const char* name : {"stochastic_sign", "stochastic_ternary"}) {
    SCOPED_TRACE(name);
    ExecContext context({.threads = 1, .seed = kSeed});
    const Tensor identity = Identity(k), weights = Floats({1, k}, w);
    std::vector<double> mean(k, 0);
    for (int step = 0; step < kSteps; ++step) {
      Tape tape(context);
      const Var y = QuantizedLinear(tape.Input(identity), tape.Input(weights), {.weight = Make(name)});
      for (int64_t i = 0; i < k; ++i) mean[i] += (*tape.Value(y))->data<float>()[i] / double{kSteps};
    }
    for (int64_t i = 0; i < k; ++i) {
      EXPECT_NEAR(mean[i], std::clamp(w[i], -1.0f, 1.0f), 4 / std::sqrt(double{kSteps})) << w[i];
    }
  }
}

// ---- Memory -------------------------------------------------------------------------------------------

// What a training step holds for its backward pass: bits, not floats.
TEST(LinearMemoryTest, BinaryLayerKeepsBits) {
  const int64_t m = 256, k = 2048, n = 16;
  const Tensor x = Filled({m, k}, 0.5f);
  Parameter bias = MakeParameter("bias", Filled({k}, 0.25f));
  const auto held = [&](const char* input, const char* w) {
    ExecContext context({.threads = 1});
    Parameter weight = MakeParameter("weight", Filled({n, k}, 1));
    Tape tape(context);
    Var y;
    {
      // h is a value of the step, wants a gradient, and is not needed by Add's own backward.
      const Var h = Add(tape.Input(x), tape.Use(bias));
      y = QuantizedLinear(h, tape.Use(weight), {.input = Make(input), .weight = Make(w)});
    }
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    return static_cast<int64_t>(context.allocator().live_bytes()) - m * n * 4;  // without y
  };
  const int64_t copy_of_x = m * k * 4;
  EXPECT_GE(held("identity", "identity"), copy_of_x);
  EXPECT_LE(held("sign", "sign") * 10, copy_of_x);
  // Bits of x, window of x; bits of w where they are this step's alone: otherwise they stay with the weight.
  EXPECT_EQ(held("sign", "sign"), 2 * m * k / 8);
  EXPECT_EQ(held("stochastic_sign", "stochastic_sign"), 2 * m * k / 8 + n * k / 8);
}

}  // namespace
}  // namespace bitgrad
