// Which values a tape holds, and for how long.

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/concat.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/dorefa_gradient.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/stochastic_sign.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr int64_t kElements = 1024, kBytes = kElements * 4;

class MemoryTest : public testing::Test {
 protected:
  int64_t live() { return static_cast<int64_t>(context_.allocator().live_bytes()); }

  ExecContext context_{{.threads = 1}};
  // Heap memory: live() counts only what the step makes.
  const Tensor x_ = Filled({kElements}, 0.5f);
};

TEST_F(MemoryTest, ValuesDieWithTheirLastVarInTraining) {
  Tape tape(context_);
  Var x = tape.Differentiable(x_);
  EXPECT_EQ(live(), 0) << "an input is not copied";
  Var h = Add(x, x);
  EXPECT_EQ(live(), kBytes);
  Var copy = h;
  h = Var();
  EXPECT_EQ(live(), kBytes);
  copy = Var();
  EXPECT_EQ(live(), 0) << "Add's backward needs no value";
  h = Relu(Add(x, x));  // keeps Relu's input
  EXPECT_EQ(live(), 2 * kBytes);
  h = Var();
  EXPECT_EQ(live(), kBytes);
  tape.Reset();
  EXPECT_EQ(live(), 0);
}

TEST_F(MemoryTest, BackwardFunctionsAreNotKeptWhereNoGradientIsWanted) {
  Tape tape(context_);
  const Var x = tape.Input(x_);
  Var h = Relu(Add(x, x));
  EXPECT_EQ(live(), kBytes);
  h = Var();
  EXPECT_EQ(live(), 0);
}

TEST_F(MemoryTest, BackwardGivesBackWhatItUsed) {
  Parameter w = MakeParameter("w", Filled({kElements}, 1));
  Tape tape(context_);
  Var loss;
  {
    const Var h = Sigmoid(Mul(tape.Use(w), tape.Input(x_)));
    loss = Sum(Tanh(Relu(h)));
  }
  ASSERT_TRUE(tape.Backward(loss).ok());
  EXPECT_EQ(live(), kBytes + 64) << "w's gradient and the loss";
}

// An exporter reads the constants of a recorded evaluation, so they are kept; the values of ops are not.
TEST_F(MemoryTest, ConstantsStayInEvaluation) {
  Parameter w = MakeParameter("w", Filled({kElements}, 1));
  for (const Mode mode : {Mode::kEval, Mode::kTrain}) {
    Tape tape(context_, mode);
    Var y = Relu(tape.Input(x_.Clone(context_.allocator())));
    y = Add(y, tape.Use(w));
    ASSERT_EQ(tape.nodes().size(), 4u);
    const bool evaluation = mode == Mode::kEval;
    EXPECT_EQ(tape.nodes()[0].value.is_null(), !evaluation);  // input
    EXPECT_TRUE(tape.nodes()[1].value.is_null());             // relu
    EXPECT_EQ(tape.nodes()[2].value.is_null(), !evaluation);  // parameter
    EXPECT_EQ(live(), evaluation ? 2 * kBytes : kBytes);
  }
  EXPECT_EQ(live(), 0);
}

// ---- What layers hold for their gradients ---------------------------------------------------------------

// Bytes that `layers` hidden layers of linear + batch norm + activation keep between forward and backward.
int64_t HeldByLayers(ExecContext& context, const ProductQuantizers& first, const ProductQuantizers& others, bool relu) {
  constexpr int64_t kBatch = 20, kIn = 128, kWidth = 256;
  TestRandom random(4);
  const Tensor x = random.UniformTensor({kBatch, kIn});
  Parameter w1 = MakeParameter("w1", random.UniformTensor({kWidth, kIn}));
  Parameter w2 = MakeParameter("w2", random.UniformTensor({kWidth, kWidth}));
  Parameter w3 = MakeParameter("w3", random.UniformTensor({kWidth, kWidth}));
  Parameter gamma = MakeParameter("gamma", Filled({kWidth}, 1)), beta = MakeParameter("beta", Filled({kWidth}, 0));
  Parameter mean = MakeParameter("mean", Filled({kWidth}, 0)),
            variance = MakeParameter("variance", Filled({kWidth}, 1));
  Tape tape(context);
  const auto linear = [&](const Var& h, Parameter& w, const ProductQuantizers& q) {
    const Var y = ApplyBatchNorm(QuantizedLinear(h, tape.Use(w), q), tape.Use(gamma), tape.Use(beta), mean, variance);
    return relu ? Relu(y) : y;
  };
  Var h = linear(tape.Input(x), w1, first);
  h = linear(h, w2, others);
  h = linear(h, w3, others);
  h = Var();
  EXPECT_TRUE(tape.status().ok()) << tape.status();
  return static_cast<int64_t>(context.allocator().live_bytes());
}

TEST_F(MemoryTest, BinaryLayersHoldATenthOfFloatLayers) {
  const int64_t held_float = HeldByLayers(context_, {}, {}, /*relu=*/true);
  const int64_t held_binary =
      HeldByLayers(context_, {.input = KBit(8), .weight = Sign()}, {.input = Sign(), .weight = Sign()}, /*relu=*/false);
  EXPECT_GE(held_float, 10 * held_binary) << held_binary;
  EXPECT_GT(held_binary, 0);
}

// ---- A thousand steps ---------------------------------------------------------------------------------

// A small net with every kind of saved value: bits, masks, statistics, random streams, floats.
class SmallNet {
 public:
  explicit SmallNet(ExecContext& context) : context_(context) {}

  absl::Status Step(Tape& tape, uint64_t step) {
    TestRandom random(step);
    const Var x = tape.Input(random.UniformTensor({kBatch, kIn}));
    Var h = Add(QuantizedLinear(x, tape.Use(w1_), {.weight = StochasticSign()}), tape.Use(b1_));
    h = ApplyBatchNorm(h, tape.Use(gamma_), tape.Use(beta_), mean_, variance_);
    h = QuantizedLinear(h, tape.Use(w2_), {.input = Sign(), .weight = Sign(), .gradient = DorefaGradient(6)});
    h = ApplyDropout(Concat({Tanh(h), Relu(h), Mul(h, h)}), 0.5f);
    std::vector<int32_t> labels;
    for (int64_t i = 0; i < kBatch; ++i) labels.push_back(static_cast<int32_t>(random.Below(kOut * 3)));
    const absl::Status status = tape.Backward(SquaredHinge(h, Labels(labels)));
    // Drops the gradients, as an optimizer's step does.
    for (Parameter* p : {&w1_, &b1_, &gamma_, &beta_, &w2_}) p->gradient = Tensor();
    return status;
  }

 private:
  static constexpr int64_t kBatch = 5, kIn = 13, kHidden = 70, kOut = 3;
  ExecContext& context_;
  TestRandom random_{3};
  Parameter w1_ = MakeParameter("w1", random_.UniformTensor({kHidden, kIn}));
  Parameter b1_ = MakeParameter("b1", random_.UniformTensor({kHidden}));
  Parameter gamma_ = MakeParameter("gamma", Filled({kHidden}, 1));
  Parameter beta_ = MakeParameter("beta", Filled({kHidden}, 0));
  Parameter mean_ = MakeParameter("mean", Filled({kHidden}, 0));
  Parameter variance_ = MakeParameter("variance", Filled({kHidden}, 1));
  Parameter w2_ = MakeParameter("w2", random_.UniformTensor({kOut, kHidden}));
};

constexpr int kSteps = 1000;

TEST_F(MemoryTest, AThousandTapesLeaveNothingBehind) {
  SmallNet net(context_);
  int64_t after_first = -1, system_allocations = -1;
  size_t peak = 0;
  for (int step = 0; step < kSteps; ++step) {
    {
      Tape tape(context_);
      const absl::Status status = net.Step(tape, step);
      ASSERT_TRUE(status.ok()) << status;
    }
    if (step == 0) {
      after_first = live();
      system_allocations = context_.allocator().system_allocations();
      peak = context_.allocator().peak_bytes();
    }
  }
  EXPECT_EQ(live(), after_first);
  EXPECT_EQ(live(), 0);
  EXPECT_EQ(context_.allocator().system_allocations(), system_allocations);
  EXPECT_EQ(context_.allocator().peak_bytes(), peak);
}

TEST_F(MemoryTest, AThousandResetsHoldWhatOneHolds) {
  SmallNet net(context_);
  Tape tape(context_);
  int64_t after_first = -1, system_allocations = -1;
  size_t nodes = 0;
  for (int step = 0; step < kSteps; ++step) {
    tape.Reset();
    const absl::Status status = net.Step(tape, step);
    ASSERT_TRUE(status.ok()) << status;
    if (step == 0) {
      after_first = live();
      system_allocations = context_.allocator().system_allocations();
      nodes = tape.nodes().size();
    }
  }
  EXPECT_EQ(live(), after_first);
  EXPECT_EQ(tape.nodes().size(), nodes);
  EXPECT_EQ(context_.allocator().system_allocations(), system_allocations);
  tape.Reset();
  EXPECT_EQ(live(), 0);
}

// A step that fails half-way leaves no memory in use either.
TEST_F(MemoryTest, FailedSteps) {
  for (int step = 0; step < 3; ++step) {
    Tape tape(context_);
    Var h = Relu(tape.Differentiable(x_));
    h = Add(h, tape.Input(Filled({3}, 1)));
    EXPECT_FALSE(tape.Backward(Sum(h)).ok());
  }
  EXPECT_EQ(live(), 0);
}

}  // namespace
}  // namespace bitgrad
