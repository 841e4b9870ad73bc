// What a tape holds besides values: random steps, layers, observations, counts of arithmetic.

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/dorefa_gradient.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/ternary.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

class TapeStateTest : public testing::Test {
 protected:
  ExecContext context_{{.threads = 1, .seed = 9}};
};

// ---- Random steps -------------------------------------------------------------------------------------

std::vector<float> Mask(Tape& tape) { return ValuesOf(**tape.Value(ApplyDropout(tape.Input(Filled({256}, 1)), 0.5f))); }

TEST_F(TapeStateTest, EveryTrainingTapeDrawsAnew) {
  std::vector<std::vector<float>> masks;
  for (int i = 0; i < 3; ++i) {
    Tape tape(context_);
    masks.push_back(Mask(tape));
    EXPECT_EQ(context_.step(), static_cast<uint32_t>(i + 1));
  }
  EXPECT_NE(masks[0], masks[1]);
  EXPECT_NE(masks[1], masks[2]);
  // The same step with the same seed draws the same numbers, so a resumed training continues with them.
  ExecContext resumed({.threads = 2, .seed = 9});
  resumed.set_step(1);
  Tape tape(resumed);
  EXPECT_EQ(Mask(tape), masks[1]);
  tape.Reset();
  EXPECT_EQ(Mask(tape), masks[2]);
  ExecContext other({.threads = 1, .seed = 10});
  Tape another(other);
  EXPECT_NE(Mask(another), masks[0]);
}

TEST_F(TapeStateTest, OpsOfOneStepDrawApart) {
  Tape tape(context_);
  const std::vector<float> first = Mask(tape), second = Mask(tape);
  EXPECT_NE(first, second);
}

TEST_F(TapeStateTest, EvaluationTakesNoStepAndDropsNothing) {
  Tape tape(context_, Mode::kEval);
  EXPECT_EQ(Mask(tape), std::vector<float>(256, 1));
  tape.Reset();
  EXPECT_EQ(context_.step(), 0u);
}

TEST_F(TapeStateTest, ResetTakesTheNextStep) {
  Tape tape(context_);
  const std::vector<float> first = Mask(tape);
  tape.Reset();
  EXPECT_EQ(context_.step(), 2u);
  EXPECT_NE(Mask(tape), first);
}

// The backward pass sees the mask of the forward pass.
TEST_F(TapeStateTest, DropoutBackwardRepeatsTheMask) {
  Tape tape(context_);
  const Var x = tape.Differentiable(Filled({256}, 1));
  ApplyDropout(x, 0.25f);
  const Var y = ApplyDropout(x, 0.25f);
  ASSERT_TRUE(tape.Backward(Sum(y)).ok());
  EXPECT_EQ(ValuesOf(**tape.Gradient(x)), ValuesOf(**tape.Value(y)));
}

// ---- Layers and observations --------------------------------------------------------------------------

TEST_F(TapeStateTest, TheListenerHearsOfEveryOpAndEveryBackwardFunction) {
  Tape tape(context_);
  std::vector<int64_t> live;
  tape.set_op_listener(
      [&](const OpEvent&) { live.push_back(static_cast<int64_t>(context_.allocator().live_bytes())); });
  const Tensor x = Filled({1024}, 1);
  const Var h = Relu(tape.Differentiable(x));
  const Var loss = Sum(h);
  EXPECT_EQ(live, (std::vector<int64_t>{0, 4096, 4096 + 64})) << "the input, relu, the sum";
  live.clear();
  ASSERT_TRUE(tape.Backward(loss).ok());
  // The gradient of relu's output, then that of the input instead.
  EXPECT_EQ(live, (std::vector<int64_t>{2 * 4096 + 64, 2 * 4096 + 64}));
}

// Copying the observations on the device and reading them give the same numbers, which are in several arrays.
TEST_F(TapeStateTest, ObservationsCanBeCopied) {
  constexpr int64_t kMany = 150;
  Tape tape(context_);
  for (int64_t i = 0; i < kMany; ++i) {
    const Tape::LayerScope layer(tape, std::string(1, static_cast<char>('a' + i % 26)));
    *tape.Counter("window", 1000 + i) = 7 * i;
  }
  const auto unread = tape.unread_counters();
  ASSERT_EQ(unread.size(), kMany);
  EXPECT_EQ(unread[27].layer, "b");
  EXPECT_EQ(unread[27].total, 1027);
  std::vector<int64_t> copies(kMany + 1, -1);
  tape.CopyCounters(copies.data());
  for (int64_t i = 0; i < kMany; ++i) EXPECT_EQ(copies[i], 7 * i);
  EXPECT_EQ(copies[kMany], -1);
  EXPECT_EQ(tape.counters()[149].count, 7 * 149);
  EXPECT_TRUE(tape.unread_counters().empty());
}

TEST_F(TapeStateTest, NodesKnowTheirLayer) {
  Tape tape(context_);
  Var x = tape.Input(Filled({2}, 1));
  {
    const Tape::LayerScope outer(tape, "outer");
    x = Relu(x);
    {
      const Tape::LayerScope inner(tape, "outer/inner");
      x = Tanh(x);
    }
    x = Sigmoid(x);
  }
  x = LeakyRelu(x, 0.25f);
  std::vector<std::string> layers, ops;
  for (const Tape::Node& node : tape.nodes()) {
    layers.push_back(node.layer);
    ops.emplace_back(node.descriptor.op);
  }
  EXPECT_EQ(layers, std::vector<std::string>({"", "outer", "outer/inner", "outer", ""}));
  EXPECT_EQ(ops, std::vector<std::string>({"input", "relu", "tanh", "sigmoid", "leaky_relu"}));
  EXPECT_EQ(tape.nodes()[4].descriptor.Get<double>("parameter", 0), 0.25);
  EXPECT_EQ(tape.nodes()[4].descriptor.Get<double>("no such", 7), 7);
  EXPECT_EQ(tape.nodes()[4].descriptor.Get<int64_t>("parameter", 7), 7) << "another type";
  EXPECT_EQ(tape.nodes()[4].inputs.size(), 1u);
  EXPECT_EQ(tape.nodes()[4].inputs[0], 3);
}

TEST_F(TapeStateTest, QuantizersStandInTheDescriptor) {
  Tape tape(context_);
  const Var y = QuantizedLinear(tape.Input(Filled({2, 3}, 1)), tape.Input(Filled({2, 3}, 1)),
                                {.input = KBit(2), .weight = Sign()});
  const auto quantizer_of = [&](int operand) {
    const int32_t input = tape.nodes()[y.index()].inputs[operand];
    return tape.nodes()[input].descriptor.Get<Quantizer>("quantizer", Quantizer());
  };
  EXPECT_EQ(quantizer_of(0), KBit(2));
  EXPECT_EQ(quantizer_of(1), Sign().In(QuantizerRole::kWeight));
  EXPECT_EQ(tape.nodes()[y.index()].descriptor.Get<Quantizer>("no such", Ternary()), Ternary());
}

TEST_F(TapeStateTest, ObservesTheWindow) {
  Tape tape(context_);
  const Var x = tape.Differentiable(Floats({2, 3}, {0.5f, -1, 1.5f, -2, 1, -0.0f}));
  const Var w = tape.Input(Filled({3, 3}, 1));
  Var h;
  {
    const Tape::LayerScope layer(tape, "hidden1");
    h = QuantizedLinear(x, w, {.input = Sign(), .weight = Sign()});  // 4 of 6 are in [-1, 1]
  }
  {
    const Tape::LayerScope layer(tape, "hidden2");
    QuantizedLinear(h, w, {.input = KBit(2)});  // rows of signs' sums: {1, -1, 1} -> 1 and {-1, 1, 1} -> 1
  }
  QuantizedLinear(h, w, {.weight = Sign()});  // no window
  ASSERT_EQ(tape.counters().size(), 2u);
  EXPECT_EQ(tape.counters()[0].layer, "hidden1");
  EXPECT_EQ(tape.counters()[0].count, 4);
  EXPECT_EQ(tape.counters()[0].total, 6);
  EXPECT_EQ(tape.counters()[1].layer, "hidden2");
  EXPECT_EQ(tape.counters()[1].count, 6);
  EXPECT_EQ(tape.counters()[1].total, 6);
  tape.Reset();
  EXPECT_TRUE(tape.counters().empty());
}

// ---- Arithmetic ---------------------------------------------------------------------------------------

void ExpectCounts(const ArithmeticCounts& counts, const ArithmeticCounts& expected) {
  EXPECT_EQ(counts.float_multiplications, expected.float_multiplications);
  EXPECT_EQ(counts.float_additions, expected.float_additions);
  EXPECT_EQ(counts.integer_multiplications, expected.integer_multiplications);
  EXPECT_EQ(counts.integer_additions, expected.integer_additions);
  EXPECT_EQ(counts.shifts, expected.shifts);
  EXPECT_EQ(counts.xnor_popcounts, expected.xnor_popcounts);
  EXPECT_EQ(counts.square_roots, expected.square_roots);
}

constexpr int64_t m = 4, k = 10, n = 3, macs = m * k * n;

class LinearCountsTest : public TapeStateTest {
 protected:
  void Check(const ProductQuantizers& quantizers, const ArithmeticCounts& forward, const ArithmeticCounts& both) {
    Parameter w = MakeParameter("w", Filled({n, k}, 1));
    Tape tape(context_);
    const Var y = QuantizedLinear(tape.Differentiable(Filled({m, k}, 1)), tape.Use(w), quantizers);
    ExpectCounts(tape.arithmetic(), forward);
    const Var loss = Sum(y);  // m n additions
    ASSERT_TRUE(tape.Backward(loss).ok());
    ArithmeticCounts expected = both;
    expected.float_additions += m * n;
    ExpectCounts(tape.arithmetic(), expected);
    tape.Reset();
    ExpectCounts(tape.arithmetic(), {});
  }
};

TEST_F(LinearCountsTest, Float) {
  Check({}, {.float_multiplications = macs, .float_additions = macs},
        {.float_multiplications = 3 * macs, .float_additions = 3 * macs});
}

TEST_F(LinearCountsTest, Binary) {
  // Backward: both products have an operand of signs: additions only.
  Check({.input = Sign(), .weight = Sign()}, {.xnor_popcounts = macs},
        {.float_additions = 2 * macs, .xnor_popcounts = macs});
}

TEST_F(LinearCountsTest, BinaryWeightsOnly) {
  // dx is additions, dw = dy^T x a float product.
  Check({.weight = Sign()}, {.float_additions = macs}, {.float_multiplications = macs, .float_additions = 3 * macs});
}

TEST_F(LinearCountsTest, FewBits) {
  // Forward: each x by the step of its quantizer, integer sums, each of them by the scale. Backward: dy w is additions
  // with binary weights, dy^T c_x a product with 2-bit codes and dw times the scale.
  Check(
      {.input = KBit(2), .weight = Sign()}, {.float_multiplications = m * k + m * n, .integer_additions = macs},
      {.float_multiplications = m * k + m * n + macs + n * k, .float_additions = 2 * macs, .integer_additions = macs});
  // Codes of several bits on both sides are multiplied.
  Check({.input = KBit(2), .weight = KBit(2)},
        {.float_multiplications = m * k + n * k + m * n, .integer_multiplications = macs, .integer_additions = macs},
        {.float_multiplications = m * k + n * k + m * n + 2 * macs + m * k + n * k,
         .float_additions = 2 * macs,
         .integer_multiplications = macs,
         .integer_additions = macs});
  Check({.input = Ternary(), .weight = Ternary()}, {.float_multiplications = m * k + n * k, .integer_additions = macs},
        {.float_multiplications = m * k + n * k, .float_additions = 2 * macs, .integer_additions = macs});
}

TEST_F(LinearCountsTest, QuantizedGradient) {
  // The gradient is quantized once: a quotient and a random number for each element.
  Check({.input = Sign(), .weight = Sign(), .gradient = DorefaGradient(4)}, {.xnor_popcounts = macs},
        {.float_multiplications = m * n,
         .float_additions = m * n,
         .integer_additions = 2 * macs,
         .xnor_popcounts = macs});
}

TEST_F(TapeStateTest, CountsByLayer) {
  Parameter w = MakeParameter("w", Filled({n, n}, 1));
  Tape tape(context_);
  Var h = tape.Differentiable(Filled({m, n}, 1));
  for (const char* layer : {"a", "b"}) {
    const Tape::LayerScope scope(tape, layer);
    h = Linear(h, tape.Use(w));
  }
  ASSERT_TRUE(tape.Backward(Sum(h)).ok());
  const auto layers = tape.layer_arithmetic();
  ASSERT_EQ(layers.size(), 3u);  // the sum is in no layer
  const int64_t products = m * n * n;
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(layers[i].layer, i == 0 ? "a" : "b");
    ExpectCounts(layers[i].forward, {.float_multiplications = products, .float_additions = products});
  }
  EXPECT_EQ(layers[2].layer, "");
  // The gradients of the weight's two uses are added; the weight is a leaf of the layer that used it first.
  ExpectCounts(layers[0].backward, {.float_multiplications = 2 * products, .float_additions = 2 * products + n * n});
  ExpectCounts(layers[1].backward, {.float_multiplications = 2 * products, .float_additions = 2 * products});
}

// A first layer's input wants no gradient: half of the backward pass is not run, and not counted.
TEST_F(TapeStateTest, CountsOfASmallNet) {
  Parameter w = MakeParameter("w", Filled({n, k}, 1)), b = MakeParameter("b", Filled({n}, 1));
  Parameter gamma = MakeParameter("gamma", Filled({n}, 1)), beta = MakeParameter("beta", Filled({n}, 1));
  Parameter mean = MakeParameter("mean", Filled({n}, 0)), variance = MakeParameter("var", Filled({n}, 1));
  Tape tape(context_);
  Var h = Add(QuantizedLinear(tape.Input(Filled({m, k}, 1)), tape.Use(w), {.weight = Sign()}), tape.Use(b));
  ExpectCounts(tape.arithmetic(), {.float_additions = macs + m * n});
  h = ApplyBatchNorm(h, tape.Use(gamma), tape.Use(beta), mean, variance);
  ArithmeticCounts expected = {
      .float_multiplications = 3 * m * n + 2 * n, .float_additions = macs + 5 * m * n, .square_roots = n};
  ExpectCounts(tape.arithmetic(), expected);
  const Var loss = Sum(Mul(h, h));
  expected.float_multiplications += m * n;
  expected.float_additions += m * n;
  ExpectCounts(tape.arithmetic(), expected);
  ASSERT_TRUE(tape.Backward(loss).ok());
  // Mul: two products, and their sum, as both operands are h; batch norm: 6 and 4 per element; bias: a sum; linear:
  // dw = dy^T x in float.
  expected.float_multiplications += 2 * m * n + 6 * m * n + macs;
  expected.float_additions += m * n + 4 * m * n + m * n + macs;
  ExpectCounts(tape.arithmetic(), expected);
}

TEST_F(TapeStateTest, EvaluationCountsToo) {
  Tape tape(context_, Mode::kEval);
  QuantizedLinear(tape.Input(Filled({m, k}, 1)), tape.Input(Filled({n, k}, 1)), {.input = Sign(), .weight = Sign()});
  ExpectCounts(tape.arithmetic(), {.xnor_popcounts = macs});
}

}  // namespace
}  // namespace bitgrad
