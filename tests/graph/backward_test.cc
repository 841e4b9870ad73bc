// Gradients through the graph: fan-out, buffers that ops share, and several tapes that add to one parameter.

#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/concat.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/optim/sgd.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using Values = std::vector<float>;

class BackwardTest : public testing::Test {
 protected:
  // The gradient of sum(f(x)) at x = {1, 2, 3}: small integers, exact in float.
  template <typename F>
  Values GradientOf(const F& f) {
    Tape tape(context_);
    const Var x = tape.Differentiable(Floats({3}, {1, 2, 3}));
    const absl::Status status = tape.Backward(Sum(f(x)));
    EXPECT_TRUE(status.ok()) << status;
    return status.ok() ? ValuesOf(**tape.Gradient(x)) : Values{};
  }

  ExecContext context_{{.threads = 1}};
};

TEST_F(BackwardTest, FanOut) {
  EXPECT_EQ(GradientOf([](Var x) { return x; }), Values({1, 1, 1}));
  EXPECT_EQ(GradientOf([](Var x) { return Add(x, x); }), Values({2, 2, 2}));
  EXPECT_EQ(GradientOf([](Var x) { return Sub(x, x); }), Values({0, 0, 0}));
  EXPECT_EQ(GradientOf([](Var x) { return Mul(x, x); }), Values({2, 4, 6}));
  EXPECT_EQ(GradientOf([](Var x) { return Add(Add(x, x), x); }), Values({3, 3, 3}));
  EXPECT_EQ(GradientOf([](Var x) { return Add(x, Add(x, x)); }), Values({3, 3, 3}));
  EXPECT_EQ(GradientOf([](Var x) { return Concat({x, x, x}); }), Values({3, 3, 3}));
  EXPECT_EQ(GradientOf([](Var x) { return Mul(Mul(x, x), x); }), Values({3, 12, 27}));
  EXPECT_EQ(GradientOf([](Var x) { return Add(Reshape(Reshape(x, {3, 1}), {3}), x); }), Values({2, 2, 2}));
}

TEST_F(BackwardTest, Diamond) {
  // h = x^2;  h^2 + h:  (2h + 1) 2x
  EXPECT_EQ(GradientOf([](Var x) {
              const Var h = Mul(x, x);
              return Add(Mul(h, h), h);
            }),
            Values({6, 36, 114}));
  // Both branches pass on the buffer of the gradient that they got.
  EXPECT_EQ(GradientOf([](Var x) {
              const Var h = Relu(x);
              const Var left = Add(h, h), right = Sub(h, Reshape(h, {3}));
              return Add(Add(left, right), Add(right, left));
            }),
            Values({4, 4, 4}));
}

// Add passes one buffer to both inputs. A gradient that arrives later at one input must not change the other's.
TEST_F(BackwardTest, SharedBuffersAreNotWrittenTo) {
  Tape tape(context_);
  const Var a = tape.Differentiable(Floats({2}, {1, 1})), b = tape.Differentiable(Floats({2}, {1, 1})),
            c = tape.Differentiable(Floats({2}, {1, 1}));
  const Var more = Mul(b, tape.Input(Floats({2}, {10, 20})));  // arrives at b after the sum's share
  const Var sum = Add(a, b);
  const Var all = Add(Add(sum, more), Add(c, Add(a, a)));
  ASSERT_TRUE(tape.Backward(Sum(all)).ok());
  EXPECT_EQ(ValuesOf(**tape.Gradient(a)), Values({3, 3}));
  EXPECT_EQ(ValuesOf(**tape.Gradient(b)), Values({11, 21}));
  EXPECT_EQ(ValuesOf(**tape.Gradient(c)), Values({1, 1}));
}

// The same between parameters, and over several tapes.
TEST_F(BackwardTest, SharedBuffersOfParameters) {
  Parameter a = MakeParameter("a", Filled({2}, 1)), b = MakeParameter("b", Filled({2}, 1));
  for (int i = 0; i < 2; ++i) {
    Tape tape(context_);
    ASSERT_TRUE(tape.Backward(Sum(Add(tape.Use(a), tape.Use(b)))).ok());
  }
  EXPECT_EQ(ValuesOf(a.gradient), Values({2, 2}));
  EXPECT_EQ(ValuesOf(b.gradient), Values({2, 2}));
  // A gradient that arrives at one alone.
  Parameter c = MakeParameter("c", Filled({2}, 1)), d = MakeParameter("d", Filled({2}, 1));
  {
    Tape tape(context_);
    ASSERT_TRUE(tape.Backward(Sum(Add(tape.Use(c), tape.Use(d)))).ok());
  }
  {
    Tape tape(context_);
    ASSERT_TRUE(tape.Backward(Sum(tape.Use(c))).ok());
  }
  EXPECT_EQ(ValuesOf(c.gradient), Values({2, 2}));
  EXPECT_EQ(ValuesOf(d.gradient), Values({1, 1}));
}

TEST_F(BackwardTest, GradientsAddUpUntilTheOptimizerTakesThem) {
  Parameter w = MakeParameter("w", Floats({1, 2}, {1, 1}));
  auto optimizer = MakeSgd(context_, {.common = {.learning_rate = 0.5}});
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  const auto backward = [&](Values x) {
    Tape tape(context_);
    return tape.Backward(Sum(Linear(tape.Input(Floats({1, 2}, x)), tape.Use(w))));
  };
  ASSERT_TRUE(backward({1, 2}).ok());
  EXPECT_EQ(ValuesOf(w.gradient), Values({1, 2}));
  ASSERT_TRUE(backward({10, 20}).ok());
  EXPECT_EQ(ValuesOf(w.gradient), Values({11, 22}));
  Parameter* parameters[] = {&w};
  ASSERT_TRUE((*optimizer)->Step(parameters).ok());
  EXPECT_EQ(ValuesOf(w.value), Values({1 - 5.5f, 1 - 11}));
  EXPECT_TRUE(w.gradient.is_null());
  ASSERT_TRUE(backward({3, 4}).ok());
  EXPECT_EQ(ValuesOf(w.gradient), Values({3, 4}));
}

// What the loss does not depend on gets nothing; what comes after the loss is not run.
TEST_F(BackwardTest, OnlyWhatTheLossDependsOn) {
  Parameter used = MakeParameter("used", Filled({2}, 1)), unused = MakeParameter("unused", Filled({2}, 1));
  Parameter frozen = MakeParameter("frozen", Filled({2}, 1));
  frozen.trainable = false;
  Tape tape(context_);
  const Var side = Mul(tape.Use(unused), tape.Use(used));
  const Var loss = Sum(Mul(tape.Use(used), tape.Use(frozen)));
  const Var later = Mul(loss, loss);
  ASSERT_TRUE(tape.Backward(loss).ok());
  EXPECT_EQ(ValuesOf(used.gradient), Values({1, 1}));
  EXPECT_TRUE(unused.gradient.is_null());
  EXPECT_TRUE(frozen.gradient.is_null());
}

TEST_F(BackwardTest, LossThatIsALeaf) {
  Parameter w = MakeParameter("w", Filled({1}, 5));
  {
    Tape tape(context_);
    const Var loss = tape.Use(w);
    Relu(loss);
    ASSERT_TRUE(tape.Backward(loss).ok()) << tape.status();
  }
  EXPECT_EQ(ValuesOf(w.gradient), Values({1}));
  Tape tape(context_);
  const Var x = tape.Differentiable(Filled({1}, 5));
  Relu(x);
  ASSERT_TRUE(tape.Backward(x).ok());
  EXPECT_EQ(ValuesOf(**tape.Gradient(x)), Values({1}));
}

TEST_F(BackwardTest, LossOfAnyShapeWithOneElement) {
  for (const Shape& shape : {Shape({}), Shape({1}), Shape({1, 1})}) {
    Tape tape(context_);
    const Var x = tape.Differentiable(Filled(shape, 3));
    ASSERT_TRUE(tape.Backward(Mul(x, x)).ok());
    EXPECT_EQ(ValuesOf(**tape.Gradient(x)), Values({6}));
    EXPECT_EQ((*tape.Gradient(x))->shape(), shape);
  }
}

TEST_F(BackwardTest, EvaluationKeepsNoGradients) {
  Parameter w = MakeParameter("w", Filled({2}, 1));
  Tape tape(context_, Mode::kEval);
  const Var y = Mul(tape.Use(w), tape.Differentiable(Filled({2}, 1)));
  for (const Tape::Node& node : tape.nodes()) {
    EXPECT_FALSE(node.requires_gradient);
    EXPECT_TRUE(node.backward == nullptr);
  }
}

// Gradients come from the context's pool, and live on in the parameters when the context is gone.
TEST_F(BackwardTest, GradientsOutliveTheContext) {
  Parameter w = MakeParameter("w", Filled({1, 2}, 1)), b = MakeParameter("b", Filled({1}, 1));
  {
    ExecContext context({.threads = 1});
    Tape tape(context);
    const Var y = Linear(tape.Input(Floats({1, 2}, {3, 4})), tape.Use(w));
    ASSERT_TRUE(tape.Backward(Sum(Add(y, tape.Use(b)))).ok());
  }
  EXPECT_EQ(ValuesOf(w.gradient), Values({3, 4}));
  EXPECT_EQ(ValuesOf(b.gradient), Values({1}));
  {
    // Another context adds to them.
    ExecContext context({.threads = 1});
    Tape tape(context);
    ASSERT_TRUE(tape.Backward(Sum(Linear(tape.Input(Floats({1, 2}, {1, 1})), tape.Use(w)))).ok());
  }
  EXPECT_EQ(ValuesOf(w.gradient), Values({4, 5}));
}

}  // namespace
}  // namespace bitgrad
