// Vars as handles: copies, Vars of another step, of another tape or of no tape, and what they keep alive.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr char kEmpty[] = "an operand is empty (default-constructed, or of a tape that is gone)";
constexpr char kStale[] = "an operand is of a failed op or of a step before the tape's Reset()";
constexpr char kForeign[] = "an operand belongs to another tape";

class VarTest : public testing::Test {
 protected:
  ExecContext context_{{.threads = 1}};
};

TEST_F(VarTest, Default) {
  const Var nothing;
  EXPECT_EQ(nothing.tape(), nullptr);
  EXPECT_EQ(nothing.shape(), Shape({0}));
  EXPECT_EQ(Relu(nothing).tape(), nullptr);  // no tape to report to
  Tape tape(context_);
  const Var x = tape.Input(Filled({2}, 1));
  EXPECT_EQ(Add(x, nothing).shape(), Shape({0}));
  EXPECT_EQ(tape.status().message(), std::string("add: ") + kEmpty);
  tape.Reset();
  Add(nothing, tape.Input(Filled({2}, 1)));
  EXPECT_EQ(tape.status().message(), std::string("add: ") + kEmpty);
  tape.Reset();
  EXPECT_EQ(tape.Backward(nothing).message(), std::string("backward: ") + kEmpty);
  tape.Reset();
  EXPECT_EQ(tape.Value(nothing).status().message(), std::string("value: ") + kEmpty);
  tape.Reset();
  EXPECT_EQ(tape.Gradient(nothing).status().message(), std::string("gradient: ") + kEmpty);
}

TEST_F(VarTest, OfAStepBeforeReset) {
  Tape tape(context_);
  const Var old = tape.Input(Filled({2}, 1));
  tape.Reset();
  const Var now = tape.Input(Filled({3}, 1));
  EXPECT_EQ(now.index(), old.index()) << "the test wants an index that means something else now";
  EXPECT_EQ(old.shape(), Shape({0}));
  EXPECT_EQ(old.tape(), &tape);
  Relu(old);
  EXPECT_EQ(tape.status().message(), std::string("relu: ") + kStale);
  tape.Reset();
  EXPECT_EQ(tape.Value(old).status().message(), std::string("value: ") + kStale);
  tape.Reset();
  EXPECT_EQ(tape.Backward(old).message(), std::string("backward: ") + kStale);
}

// A stale handle that dies does not drop the value that has its index now.
TEST_F(VarTest, StaleHandlesDoNotCount) {
  Tape tape(context_);
  std::optional<Var> old = tape.Input(Filled({2}, 1));
  tape.Reset();
  const Var now = tape.Input(Filled({2}, 7));
  Var copy = *old;
  old.reset();
  copy = now;
  copy = Var();
  ASSERT_TRUE(tape.Value(now).ok());
  EXPECT_EQ(ValuesOf(**tape.Value(now)), std::vector<float>(2, 7));
}

TEST_F(VarTest, OutlivesTheTape) {
  Var x, y;
  {
    Tape tape(context_);
    x = tape.Differentiable(Filled({2}, 1));
    y = Relu(x);
  }
  EXPECT_EQ(context_.allocator().live_bytes(), 0u);
  EXPECT_EQ(x.tape(), nullptr);
  EXPECT_EQ(y.shape(), Shape({0}));
  EXPECT_EQ(Add(x, y).tape(), nullptr);
  Tape tape(context_);
  Add(tape.Input(Filled({2}, 1)), y);
  EXPECT_EQ(tape.status().message(), std::string("add: ") + kEmpty);
  const Var copy = y;
  y = Var();
  EXPECT_EQ(copy.tape(), nullptr);
}

TEST_F(VarTest, OutlivesTapeAndContext) {
  Var x;
  {
    ExecContext context({.threads = 1});
    Tape tape(context);
    x = Relu(tape.Differentiable(Filled({2}, 1)));
  }
  const Var copy = x;
  EXPECT_EQ(copy.tape(), nullptr);
  EXPECT_EQ(copy.shape(), Shape({0}));
}

TEST_F(VarTest, OfAnotherTape) {
  Tape tape(context_), other(context_);
  const Var mine = tape.Input(Filled({2}, 1)), foreign = other.Input(Filled({2}, 1));
  Add(mine, foreign);
  EXPECT_EQ(tape.status().message(), std::string("add: ") + kForeign);
  EXPECT_TRUE(other.status().ok());
  tape.Reset();
  EXPECT_EQ(tape.Value(foreign).status().message(), std::string("value: ") + kForeign);
  tape.Reset();
  EXPECT_EQ(tape.Backward(foreign).message(), std::string("backward: ") + kForeign);
  tape.Reset();
  EXPECT_EQ(tape.Gradient(foreign).status().message(), std::string("gradient: ") + kForeign);
  EXPECT_TRUE(other.status().ok());
  EXPECT_TRUE(other.Value(foreign).ok());
}

TEST_F(VarTest, CopiesAndMoves) {
  Tape tape(context_);
  Var a = Relu(tape.Input(Filled({2}, 3)));
  const int32_t index = a.index();
  Var b = a;
  Var c = std::move(a);
  EXPECT_EQ(a.tape(), nullptr);  // NOLINT: what a moved-from Var is
  EXPECT_EQ(b.index(), index);
  b = c;
  c = Var();
  Var& self = b;
  b = self;
  EXPECT_EQ(ValuesOf(**tape.Value(b)), std::vector<float>(2, 3));
  EXPECT_FALSE(tape.nodes()[index].value.is_null());
  b = Var();
  EXPECT_TRUE(tape.nodes()[index].value.is_null());
}

TEST_F(VarTest, OneParameterIsOneNode) {
  Parameter w = MakeParameter("w", Filled({2}, 3));
  Tape tape(context_);
  Var first = tape.Use(w);
  const int32_t index = first.index();
  const Var second = tape.Use(w);
  EXPECT_EQ(second.index(), index);
  EXPECT_EQ(tape.nodes().size(), 1u);
  const Var y = Mul(first, second);
  ASSERT_TRUE(tape.Backward(Sum(y)).ok());
  EXPECT_EQ(ValuesOf(w.gradient), std::vector<float>(2, 6));
}

TEST_F(VarTest, ParameterIsThereAgainAfterItsVarIsGone) {
  Parameter w = MakeParameter("w", Filled({2}, 3));
  Tape tape(context_);
  const Var sum = Add(tape.Use(w), tape.Use(w));
  const Var y = Mul(tape.Use(w), sum);
  ASSERT_TRUE(tape.Backward(Sum(y)).ok()) << tape.status();
  EXPECT_EQ(ValuesOf(w.gradient), std::vector<float>(2, 12));  // d 2w^2 = 4w
}

TEST_F(VarTest, ResetFindsParametersAnew) {
  Parameter v = MakeParameter("v", Filled({2}, 3)), w = MakeParameter("w", Filled({2}, 5));
  Tape tape(context_);
  tape.Use(v);
  tape.Reset();
  EXPECT_EQ(ValuesOf(**tape.Value(tape.Use(w))), std::vector<float>(2, 5));
  EXPECT_EQ(ValuesOf(**tape.Value(tape.Use(v))), std::vector<float>(2, 3));
}

// An op of a user's own may keep a Var in its backward function: no node may be touched while nodes die.
TEST_F(VarTest, VarsInsideBackwardFunctions) {
  const auto record = [&](Tape& tape) {
    const Var x = tape.Differentiable(Filled({2}, 1));
    const Var h = Relu(x);
    Var y = tape.Record(
        {.op = "custom"}, {h}, Filled({2}, 1),
        [h, x](Tape::GradientSink& sink) { sink.Add(0, sink.output_gradient().Alias()); }, nullptr);
    return Sum(y);
  };
  {
    Tape tape(context_);
    record(tape);
    tape.Reset();
    const Var loss = record(tape);
    EXPECT_TRUE(tape.Backward(loss).ok());
    tape.Reset();
    record(tape);
  }
  EXPECT_EQ(context_.allocator().live_bytes(), 0u);
}

}  // namespace
}  // namespace bitgrad
